// How much of the random and the exhaustive work a run does.
import Foundation

/// Per cent, from `KYRODB_TEST_SCALE`: the sanitizers, under which everything takes ten times as
/// long, ask for less.
private let percent =
    Int(ProcessInfo.processInfo.environment["KYRODB_TEST_SCALE"] ?? "") ?? 100

/// `count`, or the share of it that is asked for.
public func scaled(_ count: Int) -> Int { max(1, count * percent / 100) }

/// From one position to the next of those that are tried: 1, or as many as leave about the share that
/// is asked for. Odd, so that every bit of a byte is met.
public var scaledStride: Int { max(1, 100 / max(1, percent)) | 1 }
