/* SPDX-License-Identifier: BSD-3-Clause */
/* How often this process has asked for memory.  Check's own assertions do. */
#ifndef TESTS_UNIT_COUNT_ALLOC_H
#define TESTS_UNIT_COUNT_ALLOC_H

unsigned int count_allocations(void);

#endif /* TESTS_UNIT_COUNT_ALLOC_H */
