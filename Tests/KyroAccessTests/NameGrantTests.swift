// Which names a grant covers.
import KyroAccess
import KyroModel
import Testing

@Suite struct NameGrantTests {
    @Test(
        "Exact names, beginnings and everything",
        arguments: [
            (["acme"], "acme", true), (["acme"], "acme2", false), (["acme"], "acm", false),
            (["logs-*"], "logs-2026", true), (["logs-*"], "logs-", true),
            (["logs-*"], "log", false),
            (["*"], "anything", true), ([], "anything", false), (["a", "b"], "b", true),
            // Two spellings of one character are two names.
            (["caf\u{E9}"], "cafe\u{301}", false), (["caf*"], "cafe\u{301}", true),
        ])
    func covers(patterns: [String], name: String, isCovered: Bool) throws {
        let grant = try NameGrant(patterns, field: "tenants")
        #expect(grant.covers(name) == isCovered)
    }

    @Test("What is no pattern is refused by its place", arguments: ["", "a*b", "**", "a\u{0}"])
    func refused(pattern: String) {
        let error = #expect(throws: KyroError.self) {
            try NameGrant(["ok", pattern], field: "tenants")
        }
        #expect(error?.field == "tenants[1]")
    }

    @Test("The only name is one that stands alone")
    func only() throws {
        #expect(try NameGrant(["acme"], field: "t").only == "acme")
        #expect(try NameGrant(["acme", "other"], field: "t").only == nil)
        #expect(try NameGrant(["acme*"], field: "t").only == nil)
        #expect(try NameGrant(["*"], field: "t").only == nil)
    }

    @Test("A request without a tenant means the caller's only one, and never another's")
    func impliedTenant() throws {
        func principal(_ tenants: [String]) throws -> Principal {
            Principal(
                name: "p", tenants: try NameGrant(tenants, field: "t"),
                namespaces: try NameGrant(["*"], field: "n"), roles: .read)
        }
        let one = try principal(["acme"])
        #expect(try one.tenant(named: "default", isImplied: true) == "acme")
        #expect(throws: KyroError.self) { try one.tenant(named: "default", isImplied: false) }
        let several = try principal(["acme", "default"])
        #expect(try several.tenant(named: "default", isImplied: true) == "default")
        let others = try principal(["acme", "other"])
        #expect(throws: KyroError.self) { try others.tenant(named: "default", isImplied: true) }
    }
}
