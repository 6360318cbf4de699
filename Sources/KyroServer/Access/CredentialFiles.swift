// Certificates, keys and rights that change while the server serves.
import KyroAccess
import KyroModel
import KyroPlatform
import KyroTLS

/// Reads anew what has changed, when it changes and when asked. What is broken is told and leaves
/// what was there before.
final class CredentialFiles: Sendable {
    private let control: AccessControl?
    private let tls: ServerTLS?
    private let watch = Locked<FileWatch?>(nil)

    init(_ control: AccessControl?, _ tls: ServerTLS?, paths: [String]) {
        self.control = control
        self.tls = tls
        guard !paths.isEmpty else { return }
        let made = FileWatch(paths) { [weak self] in self?.reload() }
        watch.withLock { $0 = made }
    }

    func reload() {
        if let control {
            do throws(KyroError) {
                try control.reload()
                Log.info("credentials were read anew")
            } catch {
                Log.error(
                    "credentials could not be read anew; those from before hold",
                    ["error": error.message])
            }
        }
        if let tls {
            do throws(TLSError) {
                try tls.reload()
                Log.info("the certificate was read anew")
            } catch {
                Log.error(
                    "the certificate could not be read anew; the one from before serves",
                    ["error": error])
            }
        }
    }

    func stop() { watch.withLock { $0.take() }?.stop() }
}
