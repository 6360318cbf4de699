// Describes the services of Protos/ to the server that serves them: runs protoc at build time and
// makes a Swift file of what it says, so that the descriptors are never older than the .proto files.
import Foundation
import PackagePlugin

@main
struct DescriptorSetPlugin: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let package = context.package.directoryURL
        let protos = package.appending(path: "Protos")
        let script = package.appending(path: "Plugins/DescriptorSet/generate.sh")
        let output = context.pluginWorkDirectoryURL.appending(path: "DescriptorBytes.swift")
        let walk = FileManager.default.enumerator(at: protos, includingPropertiesForKeys: nil)
        let files = (walk?.compactMap { $0 as? URL } ?? [])
            .filter { $0.pathExtension == "proto" }
            .sorted { $0.path < $1.path }
        guard !files.isEmpty else {
            throw PluginError(description: "no .proto file in \(protos.path)")
        }
        return [
            .buildCommand(
                displayName: "Describing the services of Protos",
                executable: URL(filePath: "/bin/sh"),
                arguments: [script.path, protos.path, output.path] + files.map { $0.path },
                inputFiles: files + [script], outputFiles: [output])
        ]
    }
}

struct PluginError: Error, CustomStringConvertible {
    let description: String
}
