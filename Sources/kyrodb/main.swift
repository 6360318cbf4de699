// The server's process: arguments, start, signal, stop. Exit status 0 after a clean stop, 1 when it
// could not start, 2 for a wrong command line; verify and repair have their own.
import Glibc
import KyroModel
import KyroPlatform
import KyroServer

let version = KyroVersion.current

func printToStandardError(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

func serve(_ options: ServerOptions, portFile: String?) -> Int32 {
    Signals.prepare()
    let server: KyroServer
    let port: UInt16
    do {
        server = try KyroServer(options)
    } catch {
        printToStandardError("kyrodb: \(error.message)")
        return 1
    }
    do {
        port = try server.start()
        if let plane = options.operations, let port = server.operationsPort {
            let address = Arguments.address(plane.host, port)
            if let file = plane.portFile { try writeFile(address + "\n", atomicallyTo: file) }
            printToStandardError("kyrodb: metrics and state on http://\(address)")
        }
        if let portFile {
            let address = Arguments.address(options.transport.host, port)
            try writeFile(address + "\n", atomicallyTo: portFile)
        }
    } catch {
        printToStandardError("kyrodb: \(error)")
        server.stop()
        return 1
    }
    let security = options.certificateFile == nil ? "" : " with TLS"
    let address = Arguments.address(options.transport.host, port)
    printToStandardError(
        "kyrodb \(version) serving on \(address)\(security), data \(options.engine.path)")
    _ = Signals.waitForStop(hungUp: server.reloadCredentials)
    server.stop()
    return 0
}

func writeFile(_ text: String, atomicallyTo path: String) throws {
    let files = PosixFileSystem()
    let file = try files.open(path + ".new", .createEmpty)
    try file.write(Array(text.utf8), at: 0)
    try files.rename(path + ".new", to: path)
}

do {
    switch try Arguments.parse(Array(CommandLine.arguments.dropFirst()), version: version) {
    case .help: print(Arguments.usage)
    case .version: print("kyrodb \(version)")
    case .offline(.help(let usage)): print(usage)
    case .offline(.verify(let path, let isJSON)): exit(VerifyCommand.run(path, isJSON: isJSON))
    case .offline(.repair(let path, let target, let isJSON)):
        exit(RepairCommand.run(path, to: target, isJSON: isJSON))
    case .serve(let options, let portFile): exit(serve(options, portFile: portFile))
    }
} catch {
    printToStandardError("kyrodb: \(error.message)")
    exit(2)
}
