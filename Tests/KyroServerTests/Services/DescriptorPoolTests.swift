// What the build made of Protos/.
import KyroModel
import KyroServer
import KyroWire
import Testing

@Suite struct DescriptorPoolTests {
    @Test func servicesAndTheirStreamsAreThoseOfTheProtos() throws {
        let services = Dictionary(
            uniqueKeysWithValues: DescriptorPool.product.services.map { ($0.name, $0.methods) })
        let search = try #require(services["kyrodb.v2.Search"])
        let many = try #require(search.first { $0.name == "SearchMany" })
        #expect(many.path == "/kyrodb.v2.Search/SearchMany")
        #expect(many.isClientStreaming && many.isServerStreaming)
        let scan = try #require(search.first { $0.name == "Scan" })
        #expect(!scan.isClientStreaming && scan.isServerStreaming)
        for name in [
            "kyrodb.v2.Collections", "kyrodb.v2.Ingest", "kyrodb.v2.Operations",
            "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ] { #expect(services[name]?.isEmpty == false, "\(name)") }
    }

    @Test func everyFileStandsBehindThoseItImports() {
        var seen: Set<String> = []
        for file in DescriptorPool.product.files {
            for name in file.dependencies { #expect(seen.contains(name), "\(file.name): \(name)") }
            seen.insert(file.name)
        }
        #expect(seen.contains("google/protobuf/any.proto"))
    }

    @Test func declaredNamesAreThoseOfProtoc() throws {
        let file = try #require(
            DescriptorPool.product.files.first { $0.name == "grpc/health/v1/health.proto" })
        #expect(
            file.messages == [
                "grpc.health.v1.HealthCheckRequest", "grpc.health.v1.HealthCheckResponse",
                "grpc.health.v1.HealthListRequest", "grpc.health.v1.HealthListResponse",
                "grpc.health.v1.HealthListResponse.StatusesEntry",
            ])
        for symbol in [
            "grpc.health.v1.HealthCheckRequest.service",
            "grpc.health.v1.HealthCheckResponse.ServingStatus",
            "grpc.health.v1.HealthCheckResponse.NOT_SERVING", "grpc.health.v1.Health",
            "grpc.health.v1.Health.Watch",
        ] { #expect(file.symbols.contains(symbol), "\(symbol)") }
    }

    @Test func setIsTheSameAfterARoundTrip() throws {
        let bytes = DescriptorPool.product.files.serialisedSet
        let again = try FileDescriptor.decode(descriptorSet: bytes)
        #expect(again.map { $0.bytes } == DescriptorPool.product.files.map { $0.bytes })
        // Cut anywhere it is an error and not a trap.
        for count in stride(from: 1, to: bytes.count, by: 97) {
            _ = try? FileDescriptor.decode(descriptorSet: Array(bytes[..<count]))
        }
    }
}
