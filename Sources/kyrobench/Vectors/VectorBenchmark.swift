// One comparison of vector indexes, from the data to its report.

struct VectorBenchmark {
    let options: VectorOptions

    func run() throws -> Int32 {
        let loadAverage = Machine.loadAverage
        // Before anything that takes long.
        if !options.peers.isEmpty { try PeerRun.install(options) }
        let folder = try ServerProcess.makeFolder(in: options.folder)
        defer { removeTree(folder) }
        let data = try VectorData(options, folder: folder)
        var report = VectorReport(data: data, options: options, loadAverage: loadAverage)
        for system in VectorOptions.System.allCases where options.systems.contains(system) {
            switch system {
            case .bulk, .incremental:
                report.systems.append(
                    try InProcessRun(data, options: options).measure(isBulk: system == .bulk))
            case .grpc:
                report.systems += try ServedRun(data: data, options: options).measure()
            }
            try save(report)
        }
        for peer in options.peers {
            report.systems.append(
                try PeerRun(data: data, options: options, folder: folder).measure(peer))
            try save(report)
        }
        print(report.headline + "\n")
        print(report.curveTable)
        print(report.buildTable)
        print(report.targetTable)
        print(figureTable(report.figures).text())
        return exitStatus(report.figures, isStrict: options.isStrict)
    }

    /// After each system, so that a run that is cut short leaves what it has.
    private func save(_ report: VectorReport) throws {
        if let path = options.jsonPath { try writeFile(report.jsonLines, to: path) }
        if let path = options.svgPath {
            let title =
                "\(report.data.name), \(report.data.corpus.rowCount) × "
                + "\(report.data.corpus.dimension), \(Machine.cpu)"
            try writeFile(VectorPlot(title: title, systems: report.systems).svg, to: path)
        }
    }
}
