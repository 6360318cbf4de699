// Joining the answers of several shards into one.
import KyroModel
import KyroPlatform

/// The smallest of a known number of values.
final class LowestOf: Sendable {
    private let state: Locked<(open: Int, value: UInt64)>
    private let completion: @Sendable (UInt64) -> Void

    init(count: Int, completion: @escaping @Sendable (UInt64) -> Void) {
        state = Locked((count, .max))
        self.completion = completion
    }

    func add(_ value: UInt64) {
        let result: UInt64? = state.withLock {
            $0.open -= 1
            $0.value = min($0.value, value)
            return $0.open == 0 ? $0.value : nil
        }
        if let result { completion(result) }
    }
}

/// The first error of a known number of answers, or none.
final class AllOf: Sendable {
    private let state: Locked<(open: Int, error: KyroError?)>
    private let completion: @Sendable (KyroError?) -> Void

    init(count: Int, completion: @escaping @Sendable (KyroError?) -> Void) {
        state = Locked((count, nil))
        self.completion = completion
    }

    func add(_ error: KyroError?) {
        let (isLast, first): (Bool, KyroError?) = state.withLock {
            $0.open -= 1
            if $0.error == nil { $0.error = error }
            return ($0.open == 0, $0.error)
        }
        if isLast { completion(first) }
    }
}
