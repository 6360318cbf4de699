// A search of inverted lists: the nearest ones, and the tail.
import CKernels
import KyroBytes
import KyroModel

extension SearchRun {
    /// Scans the lists nearest to the query, as many as they have to be for what is admitted in
    /// them; everything where that seems to lie elsewhere, or where there are no lists.
    ///
    /// - Parameter admittedShare: of all rows, how many may be returned, as far as is known.
    mutating func probe(admittedShare: Double) throws(KyroError) {
        let query = unsafe EncodedQuery(request.vector, rows: index.rows, memory: memory)
        let isDone =
            try index.inverted?.serving.read { lists throws(KyroError) in
                guard let lists, lists.count > 0 else { return false }
                return try unsafe probe(query, lists, admittedShare)
            } ?? false
        if !isDone { try unsafe scan(query) }
    }

    /// False when too little was found; `top` is untouched then.
    private mutating func probe(
        _ query: EncodedQuery, _ lists: InvertedLists, _ admittedShare: Double
    ) throws(KyroError) -> Bool {
        let rows = index.rows
        // The lists' count first: rows are published before they come into lists.
        let bound = lists.count
        let rowCount = rows.count
        let needed = index.rerankCount(request)
        let wanted = min(needed * Self.doubtFactor, needed + Self.doubtMax)
        memory.reserve(pool: unsafe ScanPool.capacity(wanted: wanted))
        let pool = unsafe ScanPool(keys: memory.pool, wanted: wanted)
        var probe = unsafe ListProbe(
            rows: rows, query: query, admission: admission, memory: memory, bound: UInt32(bound),
            isDense: rowCount == 0 || Int(rows.slots[rowCount - 1]) == rowCount - 1, pool: pool)
        if bound < rowCount {
            scored += try unsafe rows.scanCodes(
                query, range: bound..<rowCount,
                rowMask: rows.rowMask(admission.mask, rowCount: rowCount),
                visibility: admission.visibility, memory: memory, least: -.infinity,
                cancellation: cancellation
            ) { key in
                unsafe probe.pool.insert(key)
                return unsafe probe.pool.leastScore
            }
        }
        let asked = index.probeCount(request, listCount: lists.listCount)
        var order = unsafe ListOrder(
            lists.centroids, query: query, metric: rows.metric, expected: asked, memory: memory)
        scored += lists.listCount
        var probed = 0
        var isWhole = true
        while let list = unsafe order.next() {
            if probed >= asked {
                unsafe probe.flush()
                let local = unsafe probe.admittedShare
                if unsafe probe.found >= needed,
                    Double(probed) >= Double(asked) / local.squareRoot()
                {
                    break
                }
                if local < admittedShare * Self.farShare {
                    isWhole = false
                    break
                }
            }
            try unsafe probe.scan(list, of: lists)
            probed += 1
            if probed & 7 == 0 { try cancellation.check() }
        }
        unsafe probe.flush()
        scored += unsafe probe.scored
        if admission.mask == nil {
            unsafe index.deadShare.note(visible: probe.visible, of: probe.checked)
        }
        guard isWhole else { return false }
        _ = try unsafe rerank(query, probe.pool.sorted(), needed: needed, isAdmitted: true)
        return true
    }

    /// Where the lists near the query have less than this share of what the filter admits on
    /// average, it lies elsewhere.
    private static let farShare = 0.25
}

/// One search's way through lists: rows are gathered until they make a batch, whatever lists they
/// come from.
@unsafe struct ListProbe {
    let rows: VectorRows
    let query: EncodedQuery
    let admission: Admission
    let memory: ScratchMemory
    /// Rows from here on belong to the tail.
    let bound: UInt32
    /// Every row's number is its slot.
    let isDense: Bool
    var pool: ScanPool
    private let hasCodes: Bool
    private var gathered = 0
    /// Rows looked at, and those of them that the mask admits and whose codes were scored.
    private var met = 0
    private(set) var scored = 0
    /// Rows that were asked whether they are visible, and those that were.
    private(set) var checked = 0
    private(set) var visible = 0

    static let batch = 64

    init(
        rows: VectorRows, query: EncodedQuery, admission: Admission, memory: ScratchMemory,
        bound: UInt32, isDense: Bool, pool: ScanPool
    ) {
        unsafe self.rows = rows
        unsafe self.query = unsafe query
        unsafe self.admission = admission
        unsafe self.memory = memory
        unsafe self.bound = bound
        unsafe self.isDense = isDense
        unsafe self.pool = unsafe pool
        unsafe hasCodes = rows.codes.byteCount > 0
    }

    /// Candidates so far: all there are, or more than are wanted.
    var found: Int { unsafe pool.count }

    /// Of the rows met, how many may be returned, and at least half a row.
    var admittedShare: Double {
        let masked = unsafe (Double(scored) + 0.5) / (Double(met) + 0.5)
        return unsafe masked * (Double(visible) + 0.5) / (Double(checked) + 0.5)
    }

    mutating func scan(_ list: Int, of lists: InvertedLists) throws(KyroError) {
        try unsafe lists.entries.forEachBlock(list) { entries throws(KyroError) in
            for i in 0..<entries.count {
                let row = unsafe entries[i]
                if unsafe row >= bound { return false }
                unsafe met += 1
                if let mask = unsafe admission.mask {
                    let slot = unsafe isDense ? Int(row) : Int(rows.slots[Int(row)])
                    if !mask.contains(slot) { continue }
                }
                if unsafe hasCodes { unsafe kyro_prefetch(rows.codes.pointer(Int(row))) }
                unsafe rows.codes.prefetchTerms(Int(row))
                unsafe memory.batchRows[gathered] = row
                unsafe gathered += 1
                if unsafe gathered == Self.batch { unsafe flush() }
            }
            return true
        }
    }

    /// Scores what was gathered.
    mutating func flush() {
        guard unsafe gathered > 0 else { return }
        let batchRows = unsafe memory.batchRows
        let scores = unsafe memory.scanScores
        unsafe rows.codes.scores(
            query.code, rows: batchRows, count: gathered, into: scores, memory: memory)
        var least = unsafe pool.leastScore
        for i in unsafe 0..<gathered {
            let score = unsafe scores[i]
            guard score >= least || score.isNaN else { continue }
            let row = unsafe batchRows[i]
            unsafe checked += 1
            guard unsafe admission.visibility.isVisible(Int(rows.slots[Int(row)])) else { continue }
            unsafe visible += 1
            unsafe pool.insert(CandidatePool.key(score: score, row: row, isAdmitted: true))
            least = unsafe pool.leastScore
        }
        unsafe scored += gathered
        unsafe gathered = 0
    }
}
