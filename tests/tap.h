/* SPDX-License-Identifier: BSD-3-Clause */
/* The main function of a Check test program: run its suites, print TAP. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <check.h>
#include <stdlib.h>

/* How often to do what is repeated: n times, or fewer where a sanitizer makes it slow. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TAP_TIMES(n)	((n) / 8 + 1)
#else
#define TAP_TIMES(n)	(n)
#endif

/* CK_RUN_SUITE and CK_RUN_CASE choose, CK_FORK=no helps a debugger. */
static inline int tap_main(Suite *suite)
{
	SRunner *sr = srunner_create(suite);
	int failed;

	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif /* TESTS_TAP_H */
