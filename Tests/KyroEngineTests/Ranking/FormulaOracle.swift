// Random formulas as trees, with a second way to evaluate them: by walking the tree.
import Foundation
import KyroEngine
import KyroModel

indirect enum FormulaTree {
    case number(Double)
    case variable(Formula.Variable)
    case field(String)
    case negate(FormulaTree)
    case infix(String, FormulaTree, FormulaTree)
    case call(String, [FormulaTree])
    case ternary(FormulaTree, FormulaTree, FormulaTree)

    static let fields = ["i", "d", "b", "t", "no such field", "unknown"]

    static func random(_ dice: inout Dice, depth: Int) -> FormulaTree {
        guard depth > 0, dice.chance(85) else {
            switch dice.below(3) {
            case 0: return .number(dice.pick([0, 1, 2, 0.5, 3.25, 1e300, 86_400_000, 7]))
            case 1: return .variable(dice.pick(Formula.Variable.allCases))
            default: return .field(dice.pick(fields))
            }
        }
        func next() -> FormulaTree { random(&dice, depth: depth - 1) }
        switch dice.below(10) {
        case 0: return .negate(next())
        case 1...5:
            let operation = dice.pick([
                "+", "-", "*", "/", "<", "<=", ">", ">=", "=", "!=", "and", "or",
            ])
            return .infix(operation, next(), next())
        case 6: return .ternary(next(), next(), next())
        default:
            let (name, count) = dice.pick([
                ("abs", 1), ("log", 1), ("log2", 1), ("log10", 1), ("exp", 1), ("sqrt", 1),
                ("has", 1), ("not", 1), ("pow", 2), ("default", 2), ("min", 2), ("max", 3),
                ("min", 4), ("clamp", 3), ("if", 3),
            ])
            return .call(name, (0..<count).map { _ in next() })
        }
    }

    /// With random spaces, and brackets where they are needed or by chance.
    func text(_ dice: inout Dice) -> String {
        func space() -> String { dice.pick(["", " ", "  ", "\n\t"]) }
        func enclosed(_ tree: FormulaTree) -> String {
            switch tree {
            case .number, .variable, .field: return tree.text(&dice)
            case .call(let name, _) where name != "not": return tree.text(&dice)
            default: return "(" + space() + tree.text(&dice) + space() + ")"
            }
        }
        switch self {
        case .number(let value): return "\(value)"
        case .variable(let variable): return variable.name
        case .field(let name):
            return name.contains(" ") || dice.chance(30) ? "meta.\"\(name)\"" : "meta.\(name)"
        case .negate(let operand): return "-" + space() + enclosed(operand)
        case .infix(let operation, let a, let b):
            let gap = operation.count > 1 && operation.first?.isLetter == true ? " " : space()
            return enclosed(a) + gap + operation + gap + enclosed(b)
        case .call("not", let operands): return "not " + enclosed(operands[0])
        case .call(let name, let operands):
            return name + "(" + operands.map { $0.text(&dice) }.joined(separator: "," + space())
                + ")"
        case .ternary(let condition, let a, let b):
            return enclosed(condition) + space() + "?" + space() + enclosed(a) + space() + ":"
                + space() + enclosed(b)
        }
    }

    /// Nil where it is missing.
    func value(_ variables: [Formula.Variable: Double], _ fields: [String: Double]) -> Double? {
        func of(_ tree: FormulaTree) -> Double? { tree.value(variables, fields) }
        switch self {
        case .number(let value): return value
        case .variable(let variable): return variables[variable]
        case .field(let name): return fields[name]
        case .negate(let operand): return of(operand).map { 0 - $0 }
        case .ternary(let condition, let a, let b):
            return Self.isTrue(of(condition)) ? of(a) : of(b)
        case .infix(let operation, let a, let b): return Self.infix(operation, of(a), of(b))
        case .call(let name, let operands): return Self.call(name, operands.map(of))
        }
    }

    private static func isTrue(_ value: Double?) -> Bool { value != nil && value != 0 }

    private static func infix(_ operation: String, _ a: Double?, _ b: Double?) -> Double? {
        switch operation {
        case "and": return isTrue(a) && isTrue(b) ? 1 : 0
        case "or": return isTrue(a) || isTrue(b) ? 1 : 0
        default: break
        }
        let comparisons: [String: (Double, Double) -> Bool] = [
            "<": (<), "<=": (<=), ">": (>), ">=": (>=), "=": (==), "!=": (!=),
        ]
        if let comparison = comparisons[operation] {
            guard let a, let b else { return 0 }
            return comparison(a, b) ? 1 : 0
        }
        guard let a, let b else { return nil }
        let results: [String: Double] = ["+": a + b, "-": a - b, "*": a * b, "/": a / b]
        return results[operation].flatMap { $0.isFinite ? $0 : nil }
    }

    private static func call(_ name: String, _ operands: [Double?]) -> Double? {
        switch name {
        case "has": return operands[0] == nil ? 0 : 1
        case "not": return isTrue(operands[0]) ? 0 : 1
        case "default": return operands[0] ?? operands[1]
        case "if": return isTrue(operands[0]) ? operands[1] : operands[2]
        default: break
        }
        let values = operands.compactMap { $0 }
        guard values.count == operands.count else { return nil }
        let x = values[0]
        let result =
            switch name {
            case "abs": abs(x)
            case "log": log(x)
            case "log2": log2(x)
            case "log10": log10(x)
            case "exp": exp(x)
            case "sqrt": sqrt(x)
            case "pow": pow(x, values[1])
            case "clamp": min(max(x, values[1]), values[2])
            case "min": values.min() ?? .nan
            default: values.max() ?? .nan
            }
        return result.isFinite ? result : nil
    }
}
