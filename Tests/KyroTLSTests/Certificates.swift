// Authorities and certificates for one run, made by the openssl program in a temporary folder.
import Foundation

final class Certificates: Sendable {
    let folder: String

    /// Made once; the folder goes with the process's temporary files.
    static let shared: Result<Certificates, any Error> = Result { try Certificates() }

    struct Failure: Error {
        let command: String
        let output: String
    }

    private init() throws {
        folder = NSTemporaryDirectory() + "kyro-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["server", "other"] {
            try openssl(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
                "-days", "2", "-subj", "/CN=\(name)", "-keyout", path("\(name).key"),
                "-out", path("\(name).pem"),
                "-addext", "subjectAltName=DNS:db.example,IP:127.0.0.1")
        }
        for (name, names) in [
            (
                "client",
                "DNS:a.example,DNS:b.example,URI:spiffe://acme/a,email:a@acme.example,IP:10.0.0.1"
            ), ("plain", "IP:10.0.0.1"),
        ] {
            try openssl(
                "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj",
                "/O=Acme/CN=\(name) of acme", "-keyout", path("\(name).key"), "-out",
                path("\(name).csr"), "-addext", "subjectAltName=\(names)")
            try openssl(
                "x509", "-req", "-in", path("\(name).csr"), "-CA", path("server.pem"), "-CAkey",
                path("server.key"), "-days", "2", "-copy_extensions", "copy", "-out",
                path("\(name).pem"))
        }
        try openssl(
            "ec", "-in", path("server.key"), "-aes128", "-passout", "pass:secret",
            "-out", path("locked.key"))
        try Data("no certificate\n".utf8).write(to: URL(fileURLWithPath: path("text.pem")))
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    private func openssl(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(
                command: arguments.joined(separator: " "),
                output: String(decoding: output, as: UTF8.self))
        }
    }
}
