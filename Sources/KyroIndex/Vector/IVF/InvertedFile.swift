// The inverted lists of a vector index through their life: none while the rows are few, then
// trained, grown at their ends, and trained anew beside the ones that serve.
import KyroModel
import Synchronization

/// Maintenance has the one thread that calls `foldStep`; everything else any thread at any time.
///
/// `@unchecked Sendable`: what is not atomic is touched by that thread alone.
final class InvertedFile: @unchecked Sendable {
    let parameters: ListParameters
    let serving = ServingLists()
    private let rows: VectorRows
    /// The lists that serve, as maintenance knows them.
    private(set) var current: InvertedLists?
    private var chooser: ListChooser?
    private var training: ListTraining?
    /// Trained, and waiting until no reader has what served before the last ones any more.
    private var successor: InvertedLists?
    /// There was no memory for it: no other attempt below so many rows.
    private var trainingRowsMin = 0

    init(rows: VectorRows, parameters: ListParameters) {
        self.rows = rows
        self.parameters = parameters
    }

    /// Rows in the lists that serve; any thread.
    var count: Int { serving.look { $0?.count ?? 0 } }
    var residentBytes: Int { serving.look { $0?.residentBytes ?? 0 } }

    // MARK: maintenance

    /// Whether another step would get on, though no row was put into a list.
    var isTraining: Bool { training != nil }

    /// Puts up to `rowsMax` rows below `end` into lists, for about 2 ms, and returns how many; and
    /// as long again at a training, where one is due.
    func foldStep(
        rowsMax: Int, end: Int, flatRowsMax: Int, cancellation: Cancellation
    ) -> Int {
        serving.releaseReplaced()
        install()
        train(end: end, flatRowsMax: flatRowsMax, cancellation)
        guard let current, let chooser else { return 0 }
        let first = current.count
        let last = min(end, first + min(rowsMax, chooser.rowsPerStep))
        while current.count < last, !cancellation.isCancelled {
            guard current.append(last - current.count, below: last, rows: rows, chooser) else {
                break
            }
        }
        return current.count - first
    }

    /// Lists that are whole already: of a snapshot, or carried over by a rebuild.
    ///
    /// - Precondition: nothing serves yet.
    func install(_ lists: InvertedLists) {
        precondition(current == nil && successor == nil, "lists serve already")
        training = nil
        successor = lists
        install()
    }

    private func install() {
        guard let lists = successor, serving.tryReplace(by: lists) else { return }
        successor = nil
        current = lists
        chooser = ListChooser(lists.centroids, rows: rows)
    }

    private func train(end: Int, flatRowsMax: Int, _ cancellation: Cancellation) {
        if training == nil, successor == nil {
            guard end > flatRowsMax, end >= trainingRowsMin,
                current?.isOutgrown(rowCount: end) ?? true
            else { return }
            training = ListTraining(rows: rows, rowCount: end, parameters: parameters)
        }
        guard let training else { return }
        switch training.step(end: end, cancellation: cancellation) {
        case false?: return
        case true?: successor = training.lists
        case nil: trainingRowsMin = end + end / 4
        }
        self.training = nil
        install()
    }
}
