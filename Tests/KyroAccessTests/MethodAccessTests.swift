// The matrix has an entry for every method there is.
import Foundation
import KyroAccess
import Testing

@Suite struct MethodAccessTests {
    /// `/package.Service/Method` of every rpc in `Protos`.
    private func declaredMethods() throws -> Set<String> {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
                "Protos")
        var methods: Set<String> = []
        let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
        for case let file as URL in files ?? .init() where file.pathExtension == "proto" {
            let text = try String(contentsOf: file, encoding: .utf8)
            guard let package = text.firstMatch(of: /(?m)^package\s+([\w.]+);/) else { continue }
            var service = ""
            for match in text.matches(of: /(?m)^(?:service\s+(\w+)|\s+rpc\s+(\w+)\s*\()/) {
                if let name = match.1 { service = String(name) }
                if let name = match.2 { methods.insert("/\(package.1).\(service)/\(name)") }
            }
        }
        return methods
    }

    @Test("Every rpc of Protos is in the matrix, and of KyroDB's own services nothing else is")
    func isComplete() throws {
        let declared = try declaredMethods()
        #expect(declared.count >= 20)
        let entries = Set(MethodAccess.matrix.keys)
        #expect(declared.subtracting(entries).sorted() == [])
        let own = entries.filter { $0.hasPrefix("/kyrodb.") }
        #expect(own.subtracting(declared).sorted() == [])
    }

    @Test("Only health is open to whoever reaches the server")
    func open() {
        let open = MethodAccess.matrix.filter { $0.value == .open }.keys
        #expect(open.allSatisfy { $0.hasPrefix("/grpc.health.v1.Health/") })
    }
}
