# SPDX-License-Identifier: BSD-3-Clause
# The documentation agrees with the code, and so do its examples.
check_PROGRAMS += tests/doc/conformance_table
tests_doc_conformance_table_SOURCES = tests/doc/conformance_table.c
tests_doc_conformance_table_LDADD = libvhost/libcore.la

doc_tests = tests/doc/abi.sh tests/doc/conformance.sh tests/doc/api.sh \
	tests/doc/header.sh tests/doc/install.sh tests/doc/probes.sh \
	tests/doc/quotes.sh tests/doc/security.sh
TESTS += $(doc_tests)
EXTRA_DIST += $(doc_tests) tests/doc/conformance.awk tests/doc/api.awk tests/doc/make-conformance \
	doc/conformance.md doc/conformance.rules doc/probes.md doc/writing-a-device.md

# Write the page anew, in the source tree; mistakes are shown.
conformance: tests/doc/conformance_table
	$(AM_V_GEN)AWK='$(AWK)' bash $(srcdir)/tests/doc/make-conformance $(srcdir) \
		$(abs_builddir)/tests/doc/conformance_table >tests/doc/conformance.new || :
	$(AM_V_at)mv tests/doc/conformance.new $(srcdir)/doc/conformance.md
.PHONY: conformance

# Record what programs rely on; when it is released, and never afterwards for this soname but to add.
EXTRA_DIST += libvhost/libvhost.abi
abi: libvhost/libvhost.la
	$(AM_V_GEN)abidw --header-file $(srcdir)/libvhost/libvhost.h --drop-private-types \
		--no-corpus-path --no-comp-dir-path --no-show-locs libvhost/.libs/libvhost.so \
		>$(srcdir)/libvhost/libvhost.abi
.PHONY: abi

if HAVE_CHECK
check_PROGRAMS += tests/doc/test_examples
TESTS += tests/doc/test_examples
tests_doc_test_examples_LDADD = frontend/libfrontend.la $(CHECK_LIBS)
endif
