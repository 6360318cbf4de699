// The services that every gRPC tool knows: health, reflection, channelz.

/// Their methods, for a table of all methods.
package struct StockServices: Sendable {
    package typealias MakeHandler = @Sendable (ServerCall) -> any CallHandler

    package let health: HealthBoard
    /// By path.
    package let methods: [String: MakeHandler]

    /// - Parameters:
    ///   - descriptors: of everything that is served.
    ///   - services: full names of what is served beside the stock services themselves.
    package init(health: HealthBoard, descriptors: DescriptorPool, services: [String]) {
        self.health = health
        let reflection = Reflection(
            pool: descriptors, services: (services + Self.services).sorted())
        methods = [
            "/grpc.health.v1.Health/Check": { _ in UnaryHandler(health.check) },
            "/grpc.health.v1.Health/List": { _ in UnaryHandler(health.list) },
            "/grpc.health.v1.Health/Watch": { HealthWatchHandler(health, call: $0) },
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": {
                ReflectionHandler(reflection, health, call: $0)
            },
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {
                ReflectionHandler(reflection, health, call: $0)
            },
        ]
    }

    static let services = [
        "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]
}
