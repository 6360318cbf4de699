// How a call ends, as gRPC tells it in trailers.

/// `grpc-status`, `grpc-message` and `grpc-status-details-bin`.
public struct GRPCStatus: Error, Equatable, Sendable {
    public var code: Int32
    public var message: String
    /// A serialised `google.rpc.Status`; empty when there are no details.
    public var details: [UInt8]

    public init(code: Int32, message: String = "", details: [UInt8] = []) {
        self.code = code
        self.message = message
        self.details = details
    }

    public static let success = GRPCStatus(code: GRPCCode.ok)

    public var isOK: Bool { code == GRPCCode.ok }
}

/// The numbers of gRPC's status codes.
public enum GRPCCode {
    public static let ok: Int32 = 0
    public static let cancelled: Int32 = 1
    public static let unknown: Int32 = 2
    public static let invalidArgument: Int32 = 3
    public static let deadlineExceeded: Int32 = 4
    public static let notFound: Int32 = 5
    public static let alreadyExists: Int32 = 6
    public static let permissionDenied: Int32 = 7
    public static let resourceExhausted: Int32 = 8
    public static let failedPrecondition: Int32 = 9
    public static let aborted: Int32 = 10
    public static let outOfRange: Int32 = 11
    public static let unimplemented: Int32 = 12
    public static let `internal`: Int32 = 13
    public static let unavailable: Int32 = 14
    public static let dataLoss: Int32 = 15
    public static let unauthenticated: Int32 = 16

    /// What a client makes of an HTTP status without `grpc-status`
    /// (gRPC's "HTTP to gRPC Status Code Mapping").
    public static func from(httpStatus: Int) -> Int32 {
        switch httpStatus {
        case 400: return `internal`
        case 401: return unauthenticated
        case 403: return permissionDenied
        case 404: return unimplemented
        case 429, 502, 503, 504: return unavailable
        default: return unknown
        }
    }

    /// What a client makes of a stream that was reset
    /// (gRPC over HTTP/2, "HTTP2 Transport Mapping, Errors").
    public static func from(resetCode: UInt32) -> Int32 {
        switch resetCode {
        case 7: return unavailable  // REFUSED_STREAM
        case 8: return cancelled  // CANCEL
        case 11: return resourceExhausted  // ENHANCE_YOUR_CALM
        case 12: return permissionDenied  // INADEQUATE_SECURITY
        default: return `internal`
        }
    }
}
