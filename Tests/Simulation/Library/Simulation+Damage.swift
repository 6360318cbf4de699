// A bit of a file turns over while the machine is down.
import KyroEngine
import KyroModel
import KyroPlatform
import KyroStore

extension Simulation {
    /// Where the bit was.
    private struct Flip {
        var path: String
        var offset: Int
        var bit: Int
    }

    /// Starts an engine on a damaged disk and looks at what it does; then the damage is undone.
    ///
    /// Allowed is what the model allows without the damage, or a refusal that names the file and the
    /// offset. The last write of a log can be taken for one that was torn, which is told.
    func flipABit() throws(Violation) {
        let saved = disk.memory.copy()
        guard let flip = drawFlip() else { return }
        trace("FLIP bit \(flip.bit) of \(flip.path) at \(flip.offset)")
        disk.memory.flipBit(flip.bit, of: flip.path, at: flip.offset)
        report.flips += 1
        let opened: Engine?
        do throws(KyroError) {
            opened = try open()
        } catch {
            opened = nil
            try judge(refusal: error.message, flip)
        }
        if let opened {
            scheduler.runUntilQuiet { opened.isServing }
            try judge(opened, flip)
        }
        abandon()
        disk.replace(with: saved)
    }

    private func drawFlip() -> Flip? {
        var paths: [String] = []
        func list(_ directory: String) {
            guard let names = try? disk.memory.list(directory) else { return }
            for name in names {
                let path = "\(directory)/\(name)"
                if name.hasPrefix("shard-") { list(path) } else { paths.append(path) }
            }
        }
        list(Self.path)
        guard !paths.isEmpty else { return nil }
        let path = dice.pick(paths)
        guard let file = try? disk.memory.open(path, .read), let size = try? file.size(), size > 0
        else { return nil }
        return Flip(path: path, offset: dice.below(Int(size)), bit: dice.below(8))
    }

    private func judge(refusal: String, _ flip: Flip) throws(Violation) {
        trace("refused: \(refusal)")
        report.refusals += 1
        guard refusal.contains("/db/"), refusal.contains("offset") else {
            throw Violation(
                "a flip in \(flip.path) at \(flip.offset) is refused without a place: \(refusal)")
        }
    }

    private func judge(_ engine: Engine, _ flip: Flip) throws(Violation) {
        var isStopped = false
        for shard in engine.status().shards where shard.state != .serving {
            isStopped = true
            try judge(refusal: shard.problem, flip)
        }
        if isStopped { return }
        do throws(Violation) {
            let observations = try observe(engine)
            for shard in shards {
                _ = try ShardMatch(
                    shard, observations, homes: homes,
                    keepsAnswered: !hadPowerCut
                ).run()
            }
        } catch {
            let isTold = notices.value.contains { $0.contains("torn") && $0.contains(flip.path) }
            guard isTold else {
                throw Violation(
                    "a flip in \(flip.path) at \(flip.offset) was not noticed: \(error.message); "
                        + "notices \(notices.value)")
            }
            trace("told as a tear: \(notices.value)")
        }
    }
}
