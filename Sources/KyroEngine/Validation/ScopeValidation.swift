// What a caller may name things.
import KyroModel

/// The path of a field is made when an error names it, and not for every field that is right.
enum NameValidation {
    /// 1 to 128 bytes without control characters.
    static func check(_ name: String, field: @autoclosure () -> String) throws(KyroError) {
        let byteCount = name.utf8.count
        guard byteCount > 0 else {
            throw .invalid(field(), "is empty; it must have 1 to \(Limits.nameBytesMax) bytes")
        }
        guard byteCount <= Limits.nameBytesMax else {
            throw .overLimit(
                field(), "has \(byteCount) bytes; the limit is \(Limits.nameBytesMax)")
        }
        guard !name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw .invalid(field(), "contains a control character")
        }
    }

    static func check(_ scope: Scope) throws(KyroError) {
        try check(scope.tenant, field: "scope.tenant_id")
        try check(scope.namespace, field: "scope.namespace")
    }

    static func check(_ id: DocumentID, field: @autoclosure () -> String) throws(KyroError) {
        guard case .text(let text) = id else { return }
        let byteCount = text.utf8.count
        guard byteCount > 0 else {
            throw .invalid(field(), "is empty; it must have 1 to \(Limits.idBytesMax) bytes")
        }
        guard byteCount <= Limits.idBytesMax else {
            throw .overLimit(field(), "has \(byteCount) bytes; the limit is \(Limits.idBytesMax)")
        }
    }
}
