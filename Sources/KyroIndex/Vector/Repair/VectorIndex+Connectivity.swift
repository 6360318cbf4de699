// How well a graph hangs together: for benchmarks and tests, between the steps of its maintenance.
import KyroBytes
import Synchronization

extension VectorIndex {
    /// Cells of linked rows that lead to rows which are gone.
    public func strayEdges() -> Int {
        var count = 0
        for row in 0..<UInt32(graph.count) where !graph.isGone(row) {
            for layer in 0...graph.height(row) {
                graph.forEachNeighbour(of: row, layer: layer) { if graph.isGone($0) { count += 1 } }
            }
        }
        return count
    }

    /// Visible rows of the graph to which no path leads from its entry in the base layer, but over
    /// rows that are gone.
    public func unreachable(_ visibility: Visibility) -> Int {
        var isReached = [Bool](repeating: false, count: graph.count)
        var open: [UInt32] = []
        if let entry = graph.entry {
            isReached[Int(entry)] = true
            open.append(entry)
        }
        while let row = open.popLast() {
            graph.forEachNeighbour(of: row, layer: 0) { next in
                guard !isReached[Int(next)], !graph.isGone(next) else { return }
                isReached[Int(next)] = true
                open.append(next)
            }
        }
        return isReached.indices.count {
            !isReached[$0] && visibility.isVisible(Int(rows.slots[$0]))
        }
    }
}

extension VectorGraph {
    func forEachNeighbour(of row: UInt32, layer: Int, _ body: (UInt32) -> Void) {
        let column = layer == 0 ? base : upper
        let list = layer == 0 ? Int(row) : Int(upperList[Int(row)]) + layer - 1
        for i in 0..<width(layer: layer) {
            let cell = column.load(list, i)
            if cell == 0 { return }
            if Int(cell) <= count { body(cell - 1) }
        }
    }
}
