// swift-tools-version: 6.2
import PackageDescription

/// With `KYRODB_SHIPPED` set, as `make build` does, variables of classes are not watched at run time for
/// overlapping accesses: the tests, which run without it, do that, and a request passes hundreds.
let unwatched: [SwiftSetting] =
    Context.environment["KYRODB_SHIPPED"] == nil
    ? [] : [.unsafeFlags(["-enforce-exclusivity=unchecked"])]

/// Library targets: Swift 6 language mode, strict memory safety, no warning survives.
let strict: [SwiftSetting] =
    [
        .swiftLanguageMode(.v6),
        .strictMemorySafety(),
        .treatAllWarnings(as: .error),
    ] + unwatched

/// Executables and tests: the same, without the memory-safety audit of every expression.
let plain: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
]

let cSettings: [CSetting] = [
    .unsafeFlags(["-O3", "-fno-math-errno", "-Wall", "-Wextra", "-Werror"])
]

func system(_ name: String, pkgConfig: String? = nil, apt package: String) -> Target {
    .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([package])])
}

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: plain)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: plain)
}

let package = Package(
    name: "KyroDB",
    targets: [
        system("CNGHTTP2", pkgConfig: "libnghttp2", apt: "libnghttp2-dev"),
        system("COpenSSL", pkgConfig: "openssl", apt: "libssl-dev"),
        system("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
        system("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
        system("CStemmer", apt: "libstemmer-dev"),
        system("CRoaring", apt: "libroaring-dev"),
        system("CMicroHTTPD", pkgConfig: "libmicrohttpd", apt: "libmicrohttpd-dev"),
        system("CXXHash", pkgConfig: "libxxhash", apt: "libxxhash-dev"),

        .target(name: "CLinux"),
        .target(name: "CKernels", cSettings: cSettings),

        library("KyroBytes", ["CKernels", "CXXHash"]),
        library("KyroPlatform", ["KyroBytes", "CLinux"]),
        library("KyroModel", ["KyroBytes"]),
        library("KyroWire", ["KyroModel", "KyroBytes"]),
        library("KyroHTTP2", ["KyroBytes", "CNGHTTP2", "CZlib"]),
        library("KyroTLS", ["KyroPlatform", "KyroBytes", "COpenSSL"]),
        library("KyroIndex", ["KyroModel", "KyroBytes", "CKernels", "CRoaring", "CStemmer"]),
        library("KyroStore", ["KyroPlatform", "KyroModel", "KyroBytes", "CZstd"]),
        library(
            "KyroEngine", ["KyroIndex", "KyroStore", "KyroModel", "KyroPlatform", "KyroBytes"]),
        library(
            "KyroServer",
            [
                "KyroHTTP2", "KyroTLS", "KyroWire", "KyroEngine", "KyroModel", "KyroPlatform",
                "KyroBytes", "KyroAccess", "CMicroHTTPD",
            ]),
        library(
            "KyroClient",
            ["KyroHTTP2", "KyroTLS", "KyroWire", "KyroModel", "KyroPlatform", "KyroBytes"]),

        library("KyroJSON", []),
        library(
            "KyroAccess", ["KyroModel", "KyroPlatform", "KyroBytes", "KyroJSON", "COpenSSL"]),
        library("KyroCommands", ["KyroModel", "KyroBytes", "KyroJSON"]),

        executable(
            "kyrodb",
            [
                "KyroServer", "KyroCommands", "KyroAccess", "KyroEngine", "KyroStore", "KyroModel",
                "KyroPlatform",
            ]),
        executable(
            "kyroctl",
            [
                "KyroCommands", "KyroAccess", "KyroClient", "KyroStore", "KyroModel",
                "KyroPlatform", "KyroBytes",
            ]),
        executable(
            "kyrobench",
            [
                "KyroCommands", "KyroClient", "KyroHTTP2", "KyroWire", "KyroEngine", "KyroIndex",
                "KyroModel", "KyroPlatform", "KyroBytes", "CKernels",
            ]),
        .executableTarget(
            name: "kyro-echo", dependencies: ["KyroServer", "KyroHTTP2", "KyroPlatform"],
            path: "Tests/Bench/Echo", swiftSettings: plain),
        .executableTarget(
            name: "kyro-wire-testee", dependencies: ["KyroWire", "KyroModel"],
            path: "Tests/WireTestee", swiftSettings: plain),
        .target(
            name: "KyroSimulation",
            dependencies: ["KyroEngine", "KyroStore", "KyroPlatform", "KyroModel", "KyroBytes"],
            path: "Tests/Simulation/Library", swiftSettings: plain),
        .executableTarget(
            name: "kyro-simulator", dependencies: ["KyroSimulation", "CLinux"],
            path: "Tests/Simulation/Simulator", swiftSettings: plain),

        .target(
            name: "TestSupport", dependencies: ["KyroPlatform"], path: "Tests/Support",
            swiftSettings: plain),
        tests("KyroBytesTests", ["KyroBytes"]),
        tests("KyroPlatformTests", ["KyroPlatform"]),
        tests("KyroModelTests", ["KyroModel"]),
        tests("KyroWireTests", ["KyroWire", "KyroModel", "KyroBytes"]),
        tests("KyroHTTP2Tests", ["KyroHTTP2", "KyroBytes"]),
        tests("KyroTLSTests", ["KyroTLS"]),
        tests("KyroJSONTests", ["KyroJSON", "TestSupport"]),
        tests(
            "KyroAccessTests",
            [
                "KyroAccess", "KyroJSON", "KyroModel", "KyroPlatform", "COpenSSL", "TestSupport",
            ]),
        tests(
            "KyroServerTests",
            ["KyroServer", "KyroEngine", "KyroHTTP2", "KyroModel", "KyroPlatform", "TestSupport"]),
        tests(
            "KyroIndexTests",
            ["KyroIndex", "KyroPlatform", "KyroModel", "KyroBytes", "CKernels", "TestSupport"]),
        tests(
            "KyroStoreTests",
            ["KyroStore", "KyroPlatform", "KyroModel", "KyroBytes", "TestSupport"]),
        tests(
            "KyroEngineTests",
            [
                "KyroEngine", "KyroIndex", "KyroStore", "KyroPlatform", "KyroModel", "KyroBytes",
                "TestSupport",
            ]),
        tests("SimulationTests", ["KyroSimulation"]),
        tests("KyroClientTests", ["KyroClient", "KyroHTTP2", "KyroWire", "KyroModel"]),
        tests("KyroCommandsTests", ["KyroCommands", "KyroModel", "TestSupport"]),
        tests(
            "EndToEndTests",
            ["KyroClient", "KyroModel", "KyroPlatform", "KyroWire", "KyroBytes"]),
    ],
    swiftLanguageModes: [.v6]
)

/// Fuzzers are linked with libFuzzer, which the ordinary build has not: `make fuzz` sets `KYRODB_FUZZ`.
if Context.environment["KYRODB_FUZZ"] != nil {
    func fuzzer(_ name: String, _ folder: String, _ dependencies: [Target.Dependency]) -> Target {
        .executableTarget(
            name: name, dependencies: dependencies, path: "Tests/Fuzz/\(folder)",
            swiftSettings: [.swiftLanguageMode(.v5)])
    }
    package.targets += [
        fuzzer("fuzz-http2", "HTTP2Session", ["KyroHTTP2"]),
        fuzzer("fuzz-grpc", "GRPCFraming", ["KyroHTTP2"]),
    ]
}

/// With `KYRODB_WITHOUT_METRICS` set no call is counted, timed or named: what that costs is the
/// difference (`kyrobench cost --without`).
if Context.environment["KYRODB_WITHOUT_METRICS"] != nil {
    for target in package.targets where target.name == "KyroServer" {
        target.swiftSettings = strict + [.define("KYRODB_WITHOUT_METRICS")]
    }
}

/// With `KYRODB_TARGETS` set to names, divided by commas, there are only those targets and what they
/// need: for a sanitizer, which compiles all of them once more, and for work on one layer.
if let asked = Context.environment["KYRODB_TARGETS"] {
    var names: Set<String> = []
    var open = asked.split(separator: ",").map(String.init)
    while let name = open.popLast() {
        guard names.insert(name).inserted else { continue }
        for target in package.targets where target.name == name {
            for case .byNameItem(let dependency, _) in target.dependencies {
                open.append(dependency)
            }
        }
    }
    package.targets.removeAll { !names.contains($0.name) }
}
