// kyroctl keys create, list, revoke: they change an access file, with or without a server.
import KyroAccess
import KyroCommands
import KyroModel
import KyroPlatform

extension Command {
    private static let file = Option(
        "file", value: "FILE", "the access file: what kyrodb serve is given with --access")

    static let keysCreate = Command(
        name: "keys create", summary: "Make an API key and show it once.", positionals: "PRINCIPAL",
        details: """
            The key belongs to a principal, who is made with the rights given here unless there is
            one of that name. A second key of the same principal lets its users change from one to
            the other in their own time. The file keeps a salted hash; the key itself is shown now
            and never again. A server that has the file reads it within a second.
            """,
        options: [
            file,
            Option(
                "tenants", value: "NAMES",
                "of a new principal: tenants divided by commas; logs-* for beginnings, * for all"),
            Option(
                "namespaces", value: "NAMES",
                "of a new principal: namespaces, in the same way (default *)"),
            Option(
                "roles", value: "ROLES", "of a new principal: read, write, admin (includes both)"),
            Option(
                "expires", value: "TIME", "the key ends after so long, such as 90d (default never)"),
        ],
        examples: [
            (
                "keys create importer --file access.json --tenants acme --roles write > importer.key",
                "a principal with its first key"
            ),
            (
                "keys create importer --file access.json --expires 90d",
                "a second key, to change to before the first is revoked"
            ),
            (
                "keys create operator --file access.json --tenants '*' --roles admin",
                "somebody who may do everything"
            ),
        ],
        run: createKey)

    static let keysList = Command(
        name: "keys list", summary: "List principals and their keys.", options: [file],
        examples: [
            ("keys list --file access.json", "a table"),
            ("keys list --file access.json --json", "one object, for scripts"),
        ],
        run: listKeys)

    static let keysRevoke = Command(
        name: "keys revoke", summary: "End a key, from now on.", positionals: "ID",
        details: """
            The ID is what \"keys list\" shows, and stands between the first two underscores of the
            key. Calls under way with the key end with their next message.
            """,
        options: [file],
        examples: [("keys revoke 4f0c9a1b22d3e476 --file access.json", "end one key")],
        run: revokeKey)
}

/// The access file, held against others who would change it at the same time.
private struct HeldFile {
    let path: String
    var access: AccessFile
    private let lock: any File
    private let files = PosixFileSystem()

    init(_ session: Session, mayBeMissing: Bool) throws {
        guard let path = session.arguments.string("file") else {
            throw UsageError("which file? Name it by --file FILE")
        }
        self.path = path
        do {
            lock = try files.open(path + ".lock", .readWriteOrCreate)
            guard try lock.lockExclusively() else {
                throw InputError("\(path) is being changed by somebody else; try again")
            }
            access = AccessFile()
            if let file = try files.openIfPresent(path, .read) {
                access = try AccessFile(parsing: try file.readAll())
            } else if !mayBeMissing {
                throw InputError("\(path) does not exist")
            }
        } catch let error as FileError {
            throw InputError("\(error)")
        } catch let error as KyroError {
            throw InputError("\(path): \(error.message)")
        }
    }

    /// Readers see the old file or the new one.
    func write() throws {
        do {
            let file = try files.open(path + ".new", .createEmpty)
            try file.write(Array(access.text.utf8), at: 0)
            try file.sync()
            try files.rename(path + ".new", to: path)
        } catch {
            throw InputError("\(error)")
        }
    }
}

private func names(_ arguments: Arguments, _ option: String) -> [String]? {
    arguments.string(option).map { $0.split(separator: ",").map(String.init) }
}

private func createKey(_ session: Session) throws -> ExitCode {
    let arguments = session.arguments
    let name = try arguments.positionals(exactly: ["the principal's name"])[0]
    let now = Now.wallMillis
    let expires = try arguments.millis("expires").map { now + $0 }
    let tenants = names(arguments, "tenants")
    let roleNames = names(arguments, "roles")
    var held = try HeldFile(session, mayBeMissing: true)
    if held.access.principals.contains(where: { $0.name.utf8.elementsEqual(name.utf8) }) {
        guard tenants == nil, roleNames == nil, arguments.string("namespaces") == nil else {
            throw UsageError(
                "\"\(name)\" exists: leave its rights out, or change them in \(held.path)")
        }
    } else {
        guard let tenants, let roleNames else {
            throw UsageError("\"\(name)\" is new: say by --tenants and --roles what it may do")
        }
        guard let roles = Roles(names: roleNames), !roles.isEmpty else {
            throw UsageError("--roles must be read, write and admin, or some of them")
        }
        held.access.principals.append(
            AccessFile.PrincipalRecord(
                name: name, tenants: tenants, namespaces: names(arguments, "namespaces") ?? ["*"],
                roles: roles))
    }
    let random = SystemRandomSource()
    let key = APIKey(random: random)
    held.access.keys.append(
        APIKeyRecord(key, of: name, random: random, createdMillis: now, expiresMillis: expires))
    do {
        try held.access.check()
    } catch {
        throw UsageError(error.message)
    }
    try held.write()
    if session.isJSON {
        session.write(
            JSON.object([
                JSON.Member("id", .string(key.id)), JSON.Member("principal", .string(name)),
                JSON.Member("key", .string(key.text)),
            ]))
    } else {
        session.write(key.text + "\n")
        session.note("key \(key.id) of \(name); it is not shown again")
    }
    return .done
}

private func state(_ key: APIKeyRecord) -> String {
    if key.revokedMillis != nil { return "revoked" }
    if let millis = key.expiresMillis, millis <= Now.wallMillis { return "expired" }
    return "good"
}

private func listKeys(_ session: Session) throws -> ExitCode {
    _ = try session.arguments.positionals(exactly: [])
    let access = try HeldFile(session, mayBeMissing: false).access
    func time(_ millis: Int64?) -> String { millis.map { Timestamp.text(millis: $0) } ?? "never" }
    if session.isJSON {
        session.write(
            JSON.object([
                JSON.Member(
                    "principals",
                    .array(
                        access.principals.map { principal in
                            .object([
                                JSON.Member("name", .string(principal.name)),
                                JSON.Member(
                                    "tenants", .array(principal.tenants.map { .string($0) })),
                                JSON.Member(
                                    "namespaces", .array(principal.namespaces.map { .string($0) })),
                                JSON.Member(
                                    "roles", .array(principal.roles.names.map { .string($0) })),
                            ])
                        })),
                JSON.Member(
                    "keys",
                    .array(
                        access.keys.map { key in
                            .object([
                                JSON.Member("id", .string(key.id)),
                                JSON.Member("principal", .string(key.principal)),
                                JSON.Member("state", .string(state(key))),
                                JSON.Member("created_ms", .int(key.createdMillis)),
                                JSON.Member(
                                    "expires_ms", key.expiresMillis.map { .int($0) } ?? .null),
                            ])
                        })),
            ]))
        return .done
    }
    var table = Table([
        .init("key"), .init("principal"), .init("state"), .init("created"), .init("expires"),
        .init("tenants"), .init("namespaces"), .init("roles"),
    ])
    for principal in access.principals {
        let rights = [
            principal.tenants.joined(separator: ","), principal.namespaces.joined(separator: ","),
            principal.roles.names.joined(separator: ","),
        ]
        let keys = access.keys.filter { $0.principal.utf8.elementsEqual(principal.name.utf8) }
        if keys.isEmpty { table.append(["", principal.name, "no key", "", ""] + rights) }
        for key in keys {
            table.append(
                [
                    key.id, principal.name, state(key), time(key.createdMillis),
                    time(key.expiresMillis),
                ] + rights)
        }
    }
    session.write(table)
    return .done
}

private func revokeKey(_ session: Session) throws -> ExitCode {
    let id = try session.arguments.positionals(exactly: ["the key's ID"])[0]
    var held = try HeldFile(session, mayBeMissing: false)
    guard let index = held.access.keys.firstIndex(where: { $0.id == id }) else {
        session.note("no key has the ID \(id)")
        return .notFound
    }
    if held.access.keys[index].revokedMillis == nil {
        held.access.keys[index].revokedMillis = Now.wallMillis
        try held.write()
    }
    session.note("key \(id) of \(held.access.keys[index].principal) is revoked")
    return .done
}
