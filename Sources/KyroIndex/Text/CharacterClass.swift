// What a character is to a tokenizer, and how it folds.

enum CharacterClass: UInt8 {
    case separator
    case lower
    case upper
    case digit
    /// A letter without case, a mark or an underscore: part of a word, no place to split it.
    case other
    /// A character of a script that writes no spaces between words: a word by itself.
    case ideograph

    /// By ASCII code.
    static let ascii: [CharacterClass] = (0..<128).map { code in
        switch UInt8(code) {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): .lower
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): .upper
        case UInt8(ascii: "0")...UInt8(ascii: "9"): .digit
        case UInt8(ascii: "_"): .other
        default: .separator
        }
    }

    init(_ scalar: Unicode.Scalar) {
        if scalar.isASCII {
            self = Self.ascii[Int(scalar.value)]
            return
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .titlecaseLetter: self = .upper
        case .lowercaseLetter: self = .lower
        case .modifierLetter, .nonspacingMark, .spacingMark, .enclosingMark,
            .connectorPunctuation:
            self = .other
        case .otherLetter:
            let isHiragana = (0x3041...0x309F).contains(scalar.value)
            self = scalar.properties.isIdeographic || isHiragana ? .ideograph : .other
        case .decimalNumber: self = .digit
        case .letterNumber, .otherNumber:
            self = scalar.properties.isIdeographic ? .ideograph : .other
        default: self = .separator
        }
    }
}

/// Appends the case folding of a scalar as UTF-8. Lower case of upper case is full case folding for
/// all that occurs in words (ß and ẞ give ss, both sigmas σ).
func appendFolded(_ scalar: Unicode.Scalar, to word: inout [UInt8]) {
    if scalar.isASCII {
        let code = UInt8(scalar.value)
        word.append(CharacterClass.ascii[Int(code)] == .upper ? code | 0x20 : code)
        return
    }
    let properties = scalar.properties
    // The capital sharp s has no upper case but itself.
    if scalar.value == 0x1E9E { return word.append(contentsOf: [0x73, 0x73]) }
    guard properties.changesWhenCaseFolded else {
        word.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        return
    }
    for upper in properties.uppercaseMapping.unicodeScalars {
        word.append(contentsOf: upper.properties.lowercaseMapping.utf8)
    }
}
