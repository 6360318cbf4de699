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
    ///   - transport: what channelz looks at.
    ///   - nowMillis: Unix time.
    package init(
        health: HealthBoard, descriptors: DescriptorPool, services: [String],
        transport: TransportObserver, nowMillis: @escaping @Sendable () -> Int64
    ) {
        self.health = health
        let reflection = Reflection(
            pool: descriptors, services: (services + Self.services).sorted())
        let channelz = ChannelzService(transport, nowMillis: nowMillis)
        let prefix = "/grpc.channelz.v1.Channelz/"
        methods = [
            prefix + "GetTopChannels": { _ in UnaryHandler(channelz.topChannels) },
            prefix + "GetServers": { _ in UnaryHandler(channelz.servers) },
            prefix + "GetServer": { _ in UnaryHandler(channelz.server) },
            prefix + "GetServerSockets": { _ in UnaryHandler(channelz.sockets) },
            prefix + "GetSocket": { _ in UnaryHandler(channelz.socket) },
            prefix + "GetChannel": { _ in UnaryHandler(channelz.channel) },
            prefix + "GetSubchannel": { _ in UnaryHandler(channelz.channel) },
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
        "grpc.channelz.v1.Channelz", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]
}
