// Whether the vector and text indexes of a part are what the schema says they should be.
//
// Nothing else tells that a change of options is under way: the schema, which is in the catalog, is
// compared with the options that each index was made with, which a snapshot keeps beside its rows.
// So a change goes on after a restart wherever it was, and one that comes while another is under way
// takes its place.
import KyroIndex
import KyroModel

enum Agreement: Comparable {
    case whole
    /// But for what searches do when they do not say: no index has to be made anew.
    case searchesDiffer
    /// Some index has to be made anew.
    case outdated
}

/// Rows that a rebuild had before it when it began, and how many of them are done.
struct RebuildRows: Equatable, Sendable {
    var done: UInt64 = 0
    var total: UInt64
}

extension CollectionShard {
    /// Maintenance process only; cheap where nothing has changed.
    func agreement() -> Agreement {
        let (schema, version) = fields.schemaAndVersion
        if agreedVersion.load(ordering: .sequentiallyConsistent) == version { return .whole }
        let root = currentRoot
        var found = Agreement.whole
        for entry in root.vectors {
            found = max(found, Self.agreement(entry.value, schema.vectors[entry.name]))
        }
        for entry in root.texts {
            found = max(found, Self.agreement(entry.value, schema.texts[entry.name]))
        }
        guard found == .whole else { return found }
        agreedVersion.store(version, ordering: .sequentiallyConsistent)
        // The writer may have put another index in meanwhile, and said so before this.
        if currentRoot !== root { agreedVersion.store(0, ordering: .sequentiallyConsistent) }
        return .whole
    }

    static func agreement(_ index: VectorIndex, _ declared: VectorField?) -> Agreement {
        guard let wanted = declared?.indexing else { return .whole }
        let own = index.field.indexing
        if own == wanted { return .whole }
        return own.isBuilt(like: wanted) ? .searchesDiffer : .outdated
    }

    /// An index from before there were positions is made anew, too.
    static func agreement(_ index: TextIndex, _ declared: TextField?) -> Agreement {
        let isAsDeclared = declared.map { $0 == index.field } ?? true
        return isAsDeclared && index.hasPositions ? .whole : .outdated
    }

    /// Lets searches look as far as the schema says, in indexes that are otherwise what it says.
    /// Maintenance process only, and while no graph of this part is being built.
    func adoptSearchDefaults() {
        let schema = fields.schema
        for entry in currentRoot.vectors {
            guard let declared = schema.vectors[entry.name],
                Self.agreement(entry.value, declared) == .searchesDiffer
            else { continue }
            let successor = VectorIndex(of: entry.value, indexing: declared.indexing)
            _ = replaceVectors(entry.name, entry.value, by: successor)
        }
    }
}
