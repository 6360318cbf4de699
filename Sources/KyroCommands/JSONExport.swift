// Whoever reads and writes command lines reads and writes JSON.
@_exported import KyroJSON
