// What the distance kernels run on.
import CKernels

extension VectorIndex {
    /// The instruction set chosen at run time, such as "avx512vnni".
    public static var kernelsName: String { unsafe String(cString: kyro_kernels_name()) }
}
