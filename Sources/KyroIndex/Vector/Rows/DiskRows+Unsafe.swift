// Rows that are in a snapshot's file, and in memory as long as they are in none.
//
//   row    0 …………………… base.count …………… count
//          in the file    in segments of memory, each of `1 << segmentShift` rows
//
// A snapshot that has been adopted becomes the new base, and the segments below its end go. Whoever
// was reading has the state of before, file and segments, until he lets go of it. A checksum of each
// row, made when the row came, stays in memory: no row is served whose bytes do not match.
//
// After a rebuild, rows are still those of the file before it, in which they have other numbers:
// `places` says which, until the next snapshot.
import CKernels
import KyroBytes
import KyroModel

/// Written by one thread; `install` is called by one other, and readers take the state as it is.
///
/// `@unchecked Sendable`: the plain variables are the writer's alone; columns are written
/// before their rows are published.
@safe final class DiskRows: @unchecked Sendable {
    struct Base: Sendable {
        let file: RowFile
        /// Rows of this store below are in the file.
        let count: Int
        /// The rows' numbers in the file; nil where they are the same.
        let places: Column<UInt32>?
        /// The snapshot before, which has most of the rows too.
        let older: RowFile?

        func place(_ row: Int) -> Int { places.map { Int($0[row]) } ?? row }
    }

    final class State: Sendable {
        let base: Base?
        /// Number of the first of `segments`.
        let firstSegment: Int
        /// Rows as plain bytes.
        let segments: [Column<UInt8>]

        init(base: Base?, firstSegment: Int, segments: [Column<UInt8>]) {
            self.base = base
            self.firstSegment = firstSegment
            self.segments = segments
        }

        var baseCount: Int { base?.count ?? 0 }
    }

    let format: RowFormat
    let dimension: Int
    let rowBytes: Int
    /// Of this store's own row numbers.
    let numbering = RowNumbering()
    private let segmentShift: Int
    private let state: SharedReference<State>
    private let checksums = Column<UInt32>()
    /// States that were replaced by `install`, until the last reader has gone.
    private let replaced = SharedReference(StateList([]))
    /// Rows below have a segment or are in the base. Writer only.
    private var segmentsEnd = 0
    /// The first rows, as long as all of them are in another store's file. Writer only.
    private var taken: (count: Int, places: Column<UInt32>, numbering: RowNumbering)?
    /// The file of what `take` has taken over and `endTaking` will show. Writer only.
    private var takenBase: Base?

    private final class StateList: Sendable {
        let states: [State]
        init(_ states: [State]) { self.states = states }
    }

    private static let segmentBytes = 1 << 20

    init(format: RowFormat, dimension: Int) {
        self.format = format
        self.dimension = dimension
        rowBytes = dimension * format.elementBytes
        let rows = max(16, Self.segmentBytes / rowBytes)
        segmentShift = Int.bitWidth - 1 - rows.leadingZeroBitCount
        state = SharedReference(State(base: nil, firstSegment: 0, segments: []))
    }

    private var segmentRows: Int { 1 << segmentShift }

    // MARK: writer

    func reserve(row: Int) {
        while segmentsEnd <= row {
            let segment = newSegment()
            segment.reserve(row: 0)
            add(segment)
        }
        checksums.reserve(row: row)
    }

    func tryReserve(rows: Range<Int>) -> Bool {
        while segmentsEnd < rows.upperBound {
            let segment = newSegment()
            guard segment.tryReserve(rows: 0..<1) else { return false }
            add(segment)
        }
        return checksums.tryReserve(rows: rows)
    }

    private func newSegment() -> Column<UInt8> {
        Column(width: rowBytes, baseShift: segmentShift)
    }

    private func add(_ segment: Column<UInt8>) {
        state.replace { state in
            State(
                base: state.base, firstSegment: state.firstSegment,
                segments: state.segments + [segment])
        }
        segmentsEnd += segmentRows
    }

    /// - Parameter stored: becomes the row as it is stored.
    @unsafe func write(
        _ row: Int, _ from: UnsafePointer<Float>, stored: UnsafeMutablePointer<Float>
    ) {
        let to = unsafe address(row, state.take())
        unsafe format.encode(from, count: dimension, into: to)
        unsafe format.decode(to, count: dimension, into: stored)
        checksums[row] = unsafe kyro_crc32c(0, to, rowBytes)
    }

    /// A row that a snapshot's file has, and that stays there: notes its checksum.
    func note(_ row: Int, bytes: [UInt8], at offset: Int) {
        checksums.append(crc32c(bytes, range: offset..<(offset + rowBytes)), at: row)
    }

    /// Rows were noted, and are read from the file from now on. Before anybody reads them.
    func begin(_ file: RowFile, count: Int) {
        state.replace { _ in
            State(
                base: Base(file: file, count: count, places: nil, older: nil),
                firstSegment: count >> segmentShift, segments: [])
        }
        segmentsEnd = (count >> segmentShift) << segmentShift
    }

    /// Takes over a row of a store of the same format. What is in a file there stays in it, as long
    /// as no row before it is in memory here. Writer only; then `endTaking`.
    func take(_ row: Int, _ from: Int, of other: DiskRows) throws(KyroError) {
        checksums[row] = other.checksums[from]
        let source = other.state.take()
        if let base = source.base, from < base.count, row == taken?.count ?? 0,
            taken.map({ $0.numbering === base.file.numbering }) ?? true
        {
            let places = taken?.places ?? Column()
            places.append(UInt32(base.place(from)), at: row)
            taken = (row + 1, places, base.file.numbering)
            takenBase = Base(file: base.file, count: row + 1, places: places, older: base.older)
            return
        }
        let to = unsafe address(row, state.take())
        if from < source.baseCount {
            var bytes: [UInt8] = []
            try other.read(from..<(from + 1), source, into: &bytes)
            unsafe bytes.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                unsafe kyro_copy_row(to, base, rowBytes)
            }
        } else {
            unsafe kyro_copy_row(to, other.address(from, source), rowBytes)
        }
    }

    func endTaking() {
        guard let base = takenBase else { return }
        takenBase = nil
        state.replace { state in Self.state(state, on: base, shift: segmentShift) }
    }

    /// The same rows with more of them in a file.
    private static func state(_ state: State, on base: Base, shift: Int) -> State {
        let first = max(state.firstSegment, base.count >> shift)
        return State(
            base: base, firstSegment: first,
            segments: Array(state.segments.dropFirst(first - state.firstSegment)))
    }

    // MARK: snapshots

    /// Rows below the file's count are read from it from now on. - Precondition: it was written of
    /// this store, and has its numbering.
    func install(_ file: RowFile) {
        precondition(file.numbering === numbering, "rows of another index")
        let before = state.replace { state in
            guard file.rowCount >= state.baseCount else { return state }
            let older = state.base.flatMap { $0.file.numbering === numbering ? $0.file : nil }
            let base = Base(file: file, count: file.rowCount, places: nil, older: older)
            return Self.state(state, on: base, shift: segmentShift)
        }
        replaced.replace { StateList($0.states + [before]) }
        releaseReplaced()
    }

    /// Frees the memory of rows that are in a file by now and that no reader has any more. Any
    /// thread that nobody waits for.
    func releaseReplaced() {
        if replaced.take().states.isEmpty { return }
        // In a buffer of its own: another thread may have had a look at that one just now, and the
        // count that tells when it is done is no order that the thread sanitizer can see.
        var states = replaced.replace { _ in StateList([]) }.states.map { $0 }
        var kept: [State] = []
        while var state = states.popLast() {
            if !isKnownUniquelyReferenced(&state) { kept.append(state) }
        }
        if !kept.isEmpty { replaced.replace { StateList($0.states + kept) } }
    }

    // MARK: any thread

    private func address(_ row: Int, _ state: State) -> UnsafeMutableRawPointer {
        let segment = state.segments[row >> segmentShift - state.firstSegment]
        return unsafe UnsafeMutableRawPointer(segment.pointer(row & (segmentRows - 1)))
    }

    @unsafe func load(
        _ range: Range<Int>, into floats: UnsafeMutablePointer<Float>, scratch: RowScratch
    ) throws(KyroError) {
        let state = state.take()
        let inFile = range.clamped(to: 0..<max(state.baseCount, 0))
        if !inFile.isEmpty {
            try read(inFile, state, into: &scratch.bytes)
            unsafe scratch.bytes.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                unsafe format.decode(base, count: inFile.count * dimension, into: floats)
            }
        }
        for row in max(range.lowerBound, state.baseCount)..<max(range.upperBound, state.baseCount) {
            unsafe format.decode(
                address(row, state), count: dimension,
                into: floats + (row - range.lowerBound) * dimension)
        }
    }

    /// Rows of a file in the order of their places, all of them announced before the first is read.
    @unsafe func load(
        _ list: UnsafePointer<UInt32>, count: Int, into floats: UnsafeMutablePointer<Float>,
        scratch: RowScratch
    ) throws(KyroError) {
        let state = state.take()
        let order = unsafe scratch.order
        var readCount = 0
        for i in 0..<count {
            let row = Int(unsafe list[i])
            if let base = state.base, row < base.count {
                let key = UInt64(base.place(row)) << 32 | UInt64(i)
                var position = readCount
                while position > 0, unsafe order[position - 1] > key {
                    unsafe order[position] = unsafe order[position - 1]
                    position -= 1
                }
                unsafe order[position] = key
                readCount += 1
            } else {
                unsafe format.decode(
                    address(row, state), count: dimension, into: floats + i * dimension)
            }
        }
        guard readCount > 0, let base = state.base else { return }
        if readCount > 1 {
            for i in 0..<readCount { base.file.willRead(Int(unsafe order[i] >> 32)) }
        }
        for i in 0..<readCount {
            let key = unsafe order[i]
            let position = Int(key & 0xFFFF_FFFF)
            let row = Int(unsafe list[position])
            try read(row..<(row + 1), state, into: &scratch.bytes)
            unsafe scratch.bytes.withUnsafeBytes { bytes in
                guard let from = bytes.baseAddress else { return }
                unsafe format.decode(from, count: dimension, into: floats + position * dimension)
            }
        }
    }

    /// Rows as the bytes that a snapshot has of them.
    func append(_ range: Range<Int>, to writer: inout ByteWriter) throws(KyroError) {
        let state = state.take()
        let inFile = range.clamped(to: 0..<max(state.baseCount, 0))
        if !inFile.isEmpty {
            var bytes: [UInt8] = []
            try read(inFile, state, into: &bytes)
            writer.writeBytes(bytes)
        }
        for row in max(range.lowerBound, state.baseCount)..<max(range.upperBound, state.baseCount) {
            let segment = state.segments[row >> segmentShift - state.firstSegment]
            let within = row & (segmentRows - 1)
            segment.append(rows: within..<(within + 1), to: &writer)
        }
    }

    /// Reads rows of the base and checks each.
    private func read(
        _ range: Range<Int>, _ state: State, into bytes: inout [UInt8]
    ) throws(KyroError) {
        guard let base = state.base, range.upperBound <= base.count else {
            preconditionFailure("rows \(range) of \(state.baseCount) in a file")
        }
        let first = base.place(range.lowerBound)
        // Places ascend.
        if base.place(range.upperBound - 1) - first == range.count - 1,
            (try? base.file.read(first..<(first + range.count), into: &bytes)) != nil,
            range.allSatisfy({ isWhole($0, bytes, at: ($0 - range.lowerBound) * rowBytes) })
        {
            return
        }
        if range.count == 1 { return try readOne(range.lowerBound, base, into: &bytes) }
        var whole: [UInt8] = []
        whole.reserveCapacity(range.count * rowBytes)
        for row in range {
            try readOne(row, base, into: &bytes)
            whole += bytes
        }
        bytes = whole
    }

    /// One row, from the snapshot before where the latest has it no more. What is not what was
    /// written is reported, and never given out.
    private func readOne(
        _ row: Int, _ base: Base, into bytes: inout [UInt8]
    ) throws(KyroError) {
        let place = base.place(row)
        let problem: KyroError
        do throws(KyroError) {
            try base.file.read(place..<(place + 1), into: &bytes)
            if isWhole(row, bytes, at: 0) { return }
            problem = base.file.damaged(place)
        } catch {
            problem = error
        }
        if let older = base.older, place < older.rowCount,
            (try? older.read(place..<(place + 1), into: &bytes)) != nil, isWhole(row, bytes, at: 0)
        {
            return
        }
        throw problem
    }

    private func isWhole(_ row: Int, _ bytes: [UInt8], at offset: Int) -> Bool {
        offset + rowBytes <= bytes.count
            && crc32c(bytes, range: offset..<(offset + rowBytes)) == checksums[row]
    }

    /// Of rows that are in no file.
    func bytesUntilInstall(rowCount: Int) -> Int {
        max(0, rowCount - state.take().baseCount) * rowBytes
    }

    func residentBytes(rowCount: Int) -> Int {
        let state = state.take()
        var total = checksums.residentBytes(rowCount: rowCount)
        if let base = state.base {
            total += base.places?.residentBytes(rowCount: base.count) ?? 0
        }
        for (i, segment) in state.segments.enumerated() {
            let first = (state.firstSegment + i) << segmentShift
            total += segment.residentBytes(
                rowCount: max(0, min(segmentRows, rowCount - first)))
        }
        return total
    }
}
