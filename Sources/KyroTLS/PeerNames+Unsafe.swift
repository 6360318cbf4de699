// The names in a client's certificate.
import COpenSSL

extension TLSStream {
    /// `DNS:…`, `URI:…` and `EMAIL:…` of the subject's alternative names, then `CN:…` of the subject;
    /// empty where the peer showed no certificate, or none that an authority vouches for. Names with
    /// bytes that do not belong into one are left out.
    public var peerNames: [String] {
        guard isEstablished, let certificate = unsafe verifiedPeerCertificate else { return [] }
        defer { unsafe X509_free(certificate) }
        return unsafe Self.alternativeNames(certificate) + Self.commonNames(certificate)
    }

    private static func alternativeNames(_ certificate: OpaquePointer) -> [String] {
        guard
            let found = unsafe X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil)
        else { return [] }
        let names = OpaquePointer(found)
        defer { unsafe kyro_free_general_names(names) }
        var texts: [String] = []
        for i in unsafe 0..<kyro_general_name_count(names) {
            var kind: Int32 = 0
            guard let value = unsafe kyro_general_name(names, i, &kind) else { continue }
            let prefix: String
            switch kind {
            case GEN_DNS: prefix = "DNS:"
            case GEN_URI: prefix = "URI:"
            case GEN_EMAIL: prefix = "EMAIL:"
            default: continue
            }
            if let text = unsafe Self.text(value) { texts.append(prefix + text) }
        }
        return texts
    }

    private static func commonNames(_ certificate: OpaquePointer) -> [String] {
        guard let subject = unsafe X509_get_subject_name(certificate) else { return [] }
        var texts: [String] = []
        var place: Int32 = -1
        while true {
            place = unsafe X509_NAME_get_index_by_NID(subject, NID_commonName, place)
            guard place >= 0, let entry = unsafe X509_NAME_get_entry(subject, place),
                let value = unsafe X509_NAME_ENTRY_get_data(entry)
            else { return texts }
            if let text = unsafe Self.text(value) { texts.append("CN:" + text) }
        }
    }

    /// In UTF-8, whatever ASN.1 string type it is.
    private static func text(_ value: UnsafePointer<ASN1_STRING>) -> String? {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = unsafe ASN1_STRING_to_UTF8(&bytes, value)
        guard count > 0, let start = unsafe bytes else { return nil }
        defer { unsafe kyro_openssl_free(start) }
        let buffer = unsafe UnsafeBufferPointer(start: start, count: Int(count))
        // A zero byte would end the name for other readers.
        guard unsafe !buffer.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return nil }
        return unsafe String(validating: buffer, as: UTF8.self)
    }
}
