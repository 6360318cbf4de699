// `kyrodb verify`: reads a data directory that nobody serves, and says what does not hold in it.
import KyroModel
import KyroPlatform

public enum DirectoryVerification {
    /// Reads every byte of catalog, logs and snapshots. Writes nothing.
    ///
    /// - Parameter progress: told the bytes read so far and those there are.
    /// - Throws: when nothing can be said: `.locked`, `.notADataDirectory`, `.newerFormat`, or what
    ///   the file system refuses as a whole.
    public static func run(
        _ path: String, fileSystem: any FileSystem,
        progress: @escaping (_ done: UInt64, _ total: UInt64) -> Void = { _, _ in }
    ) throws(StoreError) -> VerifyReport {
        let survey = try DirectorySurvey(path, fileSystem: fileSystem)
        var report = VerifyReport()
        report.shardCount = survey.shards.count
        report.fileCount = 1
        addManifest(survey, to: &report)
        let nextID = try examineCatalog(survey, &report)
        let total = try byteCount(survey)
        for shard in survey.shards.indices {
            let done = report.byteCount
            var seen: UInt64 = 0
            guard try hasDirectory(survey, shard) else {
                report.findings.append(
                    Finding(
                        .stopsShard, shard: shard, path: survey.shardPath(shard),
                        finding: "the directory is missing",
                        affected: "every document of the shard",
                        advice: Finding.repairAdvice))
                continue
            }
            var examination = try ShardExamination(survey, shard: shard) { bytes in
                seen += bytes
                progress(done + seen, total)
            }
            try examination.run()
            report.findings += examination.findings
            report.byteCount += examination.byteCount
            report.fileCount += examination.fileCount
            report.recordCount += examination.recordCount
            if let nextID, examination.lastCollection >= nextID {
                report.findings.append(
                    Finding(
                        .stopsShard, shard: shard, path: survey.catalogPath,
                        finding:
                            "collection \(examination.lastCollection.raw) is missing, to which "
                            + "the shard's log has records",
                        affected: "collections from number \(nextID.raw) on",
                        advice: Finding.repairAdvice))
            }
        }
        try addNames(survey, to: &report)
        return report
    }

    private static func addManifest(_ survey: DirectorySurvey, to report: inout VerifyReport) {
        guard case .damaged(let damage) = survey.manifestProblem else { return }
        report.findings.append(
            Finding(
                .stopsServer, path: damage.path, offset: damage.offset, finding: damage.finding,
                affected: damage.affected, advice: Finding.repairAdvice))
    }

    /// The rules are those of CatalogLog: the first batch was synced before the file got its name.
    ///
    /// - Returns: the lowest id that it has not given out; nil when it is damaged.
    private static func examineCatalog(
        _ survey: DirectorySurvey, _ report: inout VerifyReport
    ) throws(StoreError) -> CollectionID? {
        let path = survey.catalogPath
        let salvage: CatalogSalvage
        do throws(StoreError) {
            salvage = try CatalogSalvage(survey)
        } catch {
            guard case .damaged(let damage) = error else { throw error }
            report.findings.append(
                Finding(
                    .stopsServer, path: path, offset: damage.offset, finding: damage.finding,
                    affected: damage.affected, advice: Finding.repairAdvice))
            return nil
        }
        report.fileCount += 1
        report.byteCount += UInt64(salvage.byteCount)
        for problem in salvage.problems {
            report.findings.append(
                Finding(
                    .stopsServer, path: path, offset: UInt64(problem.offset),
                    finding: problem.finding,
                    affected: "collections made or changed after that point",
                    advice: Finding.repairAdvice))
        }
        if let offset = salvage.tearOffset, salvage.problems.isEmpty {
            report.findings.append(
                Finding(
                    .tear, path: path, offset: UInt64(offset),
                    finding: "the last write is not whole",
                    affected: "a change of the catalog that was not acknowledged",
                    advice: "nothing: the next start cuts it"))
        }
        return salvage.isWhole ? salvage.state.nextID : nil
    }

    private static func addNames(
        _ survey: DirectorySurvey, to report: inout VerifyReport
    ) throws(StoreError) {
        let names = try storing { () throws(FileError) in try survey.fileSystem.list(survey.path) }
        let shards = Set(survey.shards.indices.map { survey.shardPath($0) })
        for name in names {
            let path = "\(survey.path)/\(name)"
            if [Manifest.fileName, "catalog.log", "LOCK", Reserve.fileName, "lost+found"]
                .contains(name)
            {
                continue
            }
            if shards.contains(path) { continue }
            let isOurs = name == Manifest.unfinishedName || name == "catalog.log.new"
            report.findings.append(
                Finding(
                    .leftover, path: path,
                    finding: isOurs
                        ? "left over from something interrupted" : "not a file of KyroDB",
                    affected: "nothing", advice: "nothing"))
        }
    }

    private static func hasDirectory(
        _ survey: DirectorySurvey, _ shard: Int
    ) throws(StoreError) -> Bool {
        do throws(FileError) {
            _ = try survey.fileSystem.list(survey.shardPath(shard))
            return true
        } catch {
            if error.errno == .notFound { return false }
            throw .io(error)
        }
    }

    /// Of logs and snapshots.
    private static func byteCount(_ survey: DirectorySurvey) throws(StoreError) -> UInt64 {
        var total: UInt64 = 0
        for shard in survey.shards.indices where try hasDirectory(survey, shard) {
            let directory = survey.shardPath(shard)
            let names = try storing { () throws(FileError) in
                try survey.fileSystem.list(directory)
            }
            for name in names where name.hasPrefix("log-") || name.hasPrefix("snapshot-") {
                total += try storing { () throws(FileError) in
                    try survey.fileSystem.open("\(directory)/\(name)", .read).size()
                }
            }
        }
        return total
    }
}
