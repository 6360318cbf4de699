// Which method asks for what: the matrix that the interceptor goes by.

/// Where a method's work happens.
public enum ScopeKind: String, Sendable {
    /// In the collections that its requests name.
    case collection
    /// In one tenant, of which the caller sees what its namespaces cover.
    case tenant
    /// Everywhere, and its answer is cut down to what the caller may see.
    case visible
    /// In the server as a whole.
    case server
}

public enum MethodAccess: Equatable, Sendable {
    /// Whoever reaches the server.
    case open
    /// Whoever is known, whatever the rights.
    case known
    case restricted(Role, ScopeKind)

    /// By path. A method that is missing here is refused, and a test compares the table with the
    /// service descriptors.
    public static let matrix: [String: MethodAccess] = {
        let v2 = "/kyrodb.v2."
        var table: [String: MethodAccess] = [
            v2 + "Collections/Create": .restricted(.admin, .collection),
            v2 + "Collections/Describe": .restricted(.read, .collection),
            v2 + "Collections/List": .restricted(.read, .tenant),
            v2 + "Collections/Drop": .restricted(.admin, .collection),
            v2 + "Collections/Rebuild": .restricted(.admin, .collection),
            v2 + "Collections/SetRetention": .restricted(.admin, .collection),
            v2 + "Collections/Tune": .restricted(.admin, .collection),
            v2 + "Collections/RollBackTuning": .restricted(.admin, .collection),
            // With create_if_missing: admin.
            v2 + "Ingest/Write": .restricted(.write, .collection),
            v2 + "Ingest/Stream": .restricted(.write, .collection),
            v2 + "Search/Search": .restricted(.read, .collection),
            v2 + "Search/SearchMany": .restricted(.read, .collection),
            v2 + "Search/Lookup": .restricted(.read, .collection),
            v2 + "Search/Scan": .restricted(.read, .collection),
            v2 + "Operations/Status": .restricted(.read, .visible),
            v2 + "Operations/Snapshot": .restricted(.admin, .server),
            v2 + "Operations/Flush": .restricted(.admin, .server),
            v2 + "Operations/CreateBackup": .restricted(.admin, .server),
        ]
        // Load balancers ask without a credential.
        for name in ["Check", "Watch", "List"] { table["/grpc.health.v1.Health/" + name] = .open }
        // The .proto files are public; the surface of a server is for those who may use it.
        for version in ["v1", "v1alpha"] {
            table["/grpc.reflection.\(version).ServerReflection/ServerReflectionInfo"] = .known
        }
        // Tells the addresses of all clients.
        for name in [
            "GetTopChannels", "GetServers", "GetServer", "GetServerSockets", "GetChannel",
            "GetSubchannel", "GetSocket",
        ] {
            table["/grpc.channelz.v1.Channelz/" + name] = .restricted(.admin, .server)
        }
        return table
    }()

    /// Whether its calls are in the audit log even where they succeed.
    public var isAdministrative: Bool {
        if case .restricted(.admin, _) = self { true } else { false }
    }
}
