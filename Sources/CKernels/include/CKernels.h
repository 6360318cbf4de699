// Arithmetic and byte kernels. Each picks its instruction set once, at run time; every variant of a
// kernel gives the same answer up to the rounding that its comment states.
#ifndef KYRO_CKERNELS_H
#define KYRO_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `length` bytes, continuing from `crc`; 0 starts.
uint32_t kyro_crc32c(uint32_t crc, const void *bytes, size_t length);

#endif
