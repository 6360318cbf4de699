// How much of the random work a run does.
import Foundation

/// `count`, or the share of it that `KYRODB_TEST_SCALE` asks for in per cent: the sanitizers, under
/// which everything takes ten times as long, ask for less.
func scaled(_ count: Int) -> Int {
    let percent = Int(ProcessInfo.processInfo.environment["KYRODB_TEST_SCALE"] ?? "") ?? 100
    return max(1, count * percent / 100)
}
