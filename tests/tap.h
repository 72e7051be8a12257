/* SPDX-License-Identifier: BSD-3-Clause */
/* The main function of a Check test program: run its suites, print TAP. */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <check.h>
#include <stdlib.h>

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
