// Masks of what a read may see.
import KyroModel

extension SlotMask {
    /// Every slot that the read may see: two nanoseconds a row.
    public init(
        visibleTo visibility: Visibility, cancellation: Cancellation
    ) throws(KyroError) {
        self.init(slotCount: visibility.slotCount, filledWith: true)
        try keepVisible(visibility, cancellation: cancellation)
    }
}
