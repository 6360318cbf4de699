// A compiled ranking formula and its evaluation.
//
// A formula becomes a list of steps that work on a stack: values are pushed, operations take their
// operands from its top and leave one result. There are no jumps, so that a formula ends after as
// many steps as it has; the compiler has counted how high the stack grows. A value is a finite
// number, or missing, which NaN stands for: each operation whose result is not finite is missing.
import KyroModel

#if canImport(Glibc)
    import Glibc
#endif

struct Formula: Equatable, Sendable {
    /// What a search knows of every hit.
    enum Variable: Int, CaseIterable, Sendable {
        case score, fused, decay
        case vector, vectorNorm, vectorRank
        case sparse, sparseNorm, sparseRank
        case text, textNorm, textRank
        case now, eventTime, age

        var name: String {
            switch self {
            case .score: "score"
            case .fused: "fused"
            case .decay: "decay"
            case .vector: "vector"
            case .vectorNorm: "vector.norm"
            case .vectorRank: "vector.rank"
            case .sparse: "sparse"
            case .sparseNorm: "sparse.norm"
            case .sparseRank: "sparse.rank"
            case .text: "text"
            case .textNorm: "text.norm"
            case .textRank: "text.rank"
            case .now: "now"
            case .eventTime: "event_time"
            case .age: "age"
            }
        }
    }

    enum Unary: Equatable, Sendable {
        case negate, not, has, abs, log, log2, log10, exp, sqrt
    }

    enum Binary: Equatable, Sendable {
        case add, subtract, multiply, divide, power, min, max, and, or, otherwise
        case less, lessOrEqual, greater, greaterOrEqual, equal, unequal
    }

    enum Step: Equatable, Sendable {
        case constant(Double)
        case variable(Variable)
        /// Position in `fields`.
        case field(Int)
        case unary(Unary)
        case binary(Binary)
        /// x, low, high.
        case clamp
        /// Condition, then, else.
        case select
    }

    /// A metadata field that the formula names.
    struct Field: Equatable, Sendable {
        var name: String
        /// Of a text or a list a formula can only ask whether it is there.
        var presenceOnly: Bool
    }

    var steps: [Step] = []
    var fields: [Field] = []
    /// Values on the stack at most.
    var stackMax = 0

    /// What one evaluation reads, and its stack: made once for all hits of a query.
    struct Scratch {
        /// By `Variable.rawValue`; NaN where missing.
        var variables: [Double]
        /// As `fields`.
        var fields: [Double]
        fileprivate var stack: [Double]

        init(_ formula: Formula) {
            variables = Array(repeating: .nan, count: Variable.allCases.count)
            fields = Array(repeating: .nan, count: formula.fields.count)
            stack = Array(repeating: .nan, count: formula.stackMax)
        }

        subscript(_ variable: Variable) -> Double {
            get { variables[variable.rawValue] }
            set { variables[variable.rawValue] = newValue }
        }
    }

    /// Nil where the result is missing.
    func evaluate(_ scratch: inout Scratch) -> Double? {
        var top = -1
        for step in steps {
            switch step {
            case .constant(let value):
                top += 1
                scratch.stack[top] = value
            case .variable(let variable):
                top += 1
                scratch.stack[top] = scratch.variables[variable.rawValue]
            case .field(let position):
                top += 1
                scratch.stack[top] = scratch.fields[position]
            case .unary(let operation):
                scratch.stack[top] = Self.apply(operation, scratch.stack[top])
            case .binary(let operation):
                top -= 1
                scratch.stack[top] = Self.apply(
                    operation, scratch.stack[top], scratch.stack[top + 1])
            case .clamp:
                top -= 2
                let raised = Self.apply(.max, scratch.stack[top], scratch.stack[top + 1])
                scratch.stack[top] = Self.apply(.min, raised, scratch.stack[top + 2])
            case .select:
                top -= 2
                let position = Self.isTrue(scratch.stack[top]) ? top + 1 : top + 2
                scratch.stack[top] = scratch.stack[position]
            }
        }
        precondition(top == 0, "a formula leaves \(top + 1) values")
        let result = scratch.stack[0]
        return result.isNaN ? nil : result
    }

    @inline(__always)
    private static func isTrue(_ value: Double) -> Bool { !value.isNaN && value != 0 }

    @inline(__always)
    private static func number(_ truth: Bool) -> Double { truth ? 1 : 0 }

    @inline(__always)
    private static func finite(_ value: Double) -> Double { value.isFinite ? value : .nan }

    @inline(__always)
    private static func apply(_ operation: Unary, _ x: Double) -> Double {
        switch operation {
        case .negate: -x
        case .not: number(!isTrue(x))
        case .has: number(!x.isNaN)
        case .abs: x.magnitude
        case .log: finite(Glibc.log(x))
        case .log2: finite(Glibc.log2(x))
        case .log10: finite(Glibc.log10(x))
        case .exp: finite(Glibc.exp(x))
        case .sqrt: finite(x.squareRoot())
        }
    }

    @inline(__always)
    private static func apply(_ operation: Binary, _ x: Double, _ y: Double) -> Double {
        switch operation {
        case .add: finite(x + y)
        case .subtract: finite(x - y)
        case .multiply: finite(x * y)
        case .divide: finite(x / y)
        // To the power of 0 even NaN would be 1.
        case .power: x.isNaN || y.isNaN ? .nan : finite(pow(x, y))
        case .min: x.isNaN || y.isNaN ? .nan : (y < x ? y : x)
        case .max: x.isNaN || y.isNaN ? .nan : (y > x ? y : x)
        case .and: number(isTrue(x) && isTrue(y))
        case .or: number(isTrue(x) || isTrue(y))
        case .otherwise: x.isNaN ? y : x
        case .less: number(x < y)
        case .lessOrEqual: number(x <= y)
        case .greater: number(x > y)
        case .greaterOrEqual: number(x >= y)
        case .equal: number(x == y)
        case .unequal: number(x < y || x > y)
        }
    }
}
