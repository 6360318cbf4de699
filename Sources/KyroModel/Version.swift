// Which KyroDB this is.

public enum KyroVersion {
    /// Semantic version of the server and of the programs that come with it.
    public static let current = "0.1.0"
}
