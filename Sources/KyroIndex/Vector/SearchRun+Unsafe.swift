// One search on its way.
import KyroBytes
import KyroModel
import Synchronization

struct SearchRun {
    let index: VectorIndex
    let request: VectorIndex.Request
    let admission: Admission
    var top: TopK
    let memory: ScratchMemory
    let cancellation: Cancellation
    var scored = 0
    var outcome = FilteredWalkOutcome()

    /// How many times what is wanted a walk may keep of rows that only lead on.
    static let poolFactor = 16
    /// How many times what is reranked a scan keeps, in case the codes leave a doubt.
    static let doubtFactor = 4
    static let doubtMax = 512

    init(
        index: VectorIndex, request: VectorIndex.Request, admission: Admission, top: TopK,
        memory: ScratchMemory, cancellation: Cancellation
    ) {
        self.index = index
        self.request = request
        self.admission = admission
        self.top = top
        self.memory = memory
        self.cancellation = cancellation
    }

    mutating func scan() throws(KyroError) {
        let query = unsafe EncodedQuery(request.vector, rows: index.rows, memory: memory)
        try unsafe scan(query)
    }

    /// Walks, and falls back: to a walk that sorts the dead out on its way, then to a scan.
    mutating func walk(admittedShare: Double) throws(KyroError) {
        let query = unsafe EncodedQuery(request.vector, rows: index.rows, memory: memory)
        let needed = index.rerankCount(request)
        if index.deadShare.value <= VectorIndex.checkedDeadShareMin {
            let wanted = index.candidateCount(request, share: 1)
            let found = try unsafe walk(query, wanted: wanted, admission: nil)
            if found >= needed { return }
            top = TopK(k: request.k, order: top.order)
        }
        let wanted = index.candidateCount(request, share: admittedShare)
        let found = try unsafe walk(query, wanted: wanted, admission: admission)
        if found >= needed { return }
        top = TopK(k: request.k, order: top.order)
        try unsafe scan(query)
    }

    /// Scans everything: exact where asked or where the index is small, else codes and a rerank.
    mutating func scan(_ query: EncodedQuery) throws(KyroError) {
        let rows = index.rows
        let rowCount = rows.count
        let needed = index.rerankCount(request)
        if request.exact || rowCount <= max(index.exactRowsMax, needed) {
            if let mask = admission.mask {
                scored += try unsafe rows.scanValues(
                    query, mask: mask, rowCount: rowCount, admission: admission, memory: memory,
                    into: &top, cancellation: cancellation)
            } else {
                try unsafe rows.scanValues(
                    query, range: 0..<rowCount, admission: admission, memory: memory, into: &top,
                    cancellation: cancellation)
                scored += rowCount
            }
            return
        }
        let wanted = min(needed * Self.doubtFactor, needed + Self.doubtMax)
        memory.reserve(pool: unsafe ScanPool.capacity(wanted: wanted))
        var pool = unsafe ScanPool(keys: memory.pool, wanted: wanted)
        if admission.mask == nil { index.deadShare.fade() }
        scored += try unsafe rows.scanCodes(
            query, range: 0..<rowCount, rowMask: rows.rowMask(admission.mask, rowCount: rowCount),
            visibility: admission.visibility, memory: memory, least: pool.leastScore,
            cancellation: cancellation
        ) { key in
            unsafe pool.insert(key)
            return unsafe pool.leastScore
        }
        _ = try unsafe rerank(query, pool.sorted(), needed: needed, isAdmitted: true)
    }

    /// Walks the graph, scans the tail into the same pool and scores the best exactly. Returns how
    /// many candidates may be returned, `needed` at most.
    private mutating func walk(
        _ query: EncodedQuery, wanted: Int, admission walked: Admission?
    ) throws(KyroError) -> Int {
        let graph = index.graph
        // The entry first, then the count: an entry is stored after the count that includes it.
        let entry = graph.entry
        let bound = UInt32(graph.count)
        let rowCount = index.rows.count
        let capacity = walked == nil ? wanted : wanted * Self.poolFactor
        memory.reserve(pool: capacity)
        var pool = unsafe CandidatePool(keys: memory.pool, capacity: capacity, wanted: wanted)
        if let entry {
            let start = unsafe graph.descend(
                from: entry, top: graph.height(entry), bottom: 1, bound: bound,
                query: query.code, memory: memory, scored: &scored)
            try unsafe graph.walk(
                layer: 0, from: start, bound: bound, query: query.code,
                admission: walked, memory: memory, pool: &pool, scored: &scored,
                cancellation: cancellation)
            if walked != nil {
                unsafe index.deadShare.note(visible: pool.admittedCount, of: pool.count)
            }
        }
        try unsafe scanTail(query, from: Int(bound), rowCount: rowCount, &pool)
        let needed = index.rerankCount(request)
        let (found, met) = try unsafe rerank(
            query, pool, needed: needed, isAdmitted: walked != nil)
        if walked == nil { index.deadShare.note(visible: found, of: met) }
        return found
    }

    /// Codes of the rows that are not in the graph.
    mutating func scanTail(
        _ query: EncodedQuery, from first: Int, rowCount: Int, _ pool: inout CandidatePool
    ) throws(KyroError) {
        guard first < rowCount else { return }
        let rows = index.rows
        scored += try unsafe rows.scanCodes(
            query, range: first..<rowCount,
            rowMask: rows.rowMask(admission.mask, rowCount: rowCount),
            visibility: admission.visibility, memory: memory, least: pool.leastScore,
            cancellation: cancellation
        ) { key in
            if unsafe key > pool.threshold { _ = unsafe pool.insert(key) }
            return unsafe pool.leastScore
        }
    }
}
