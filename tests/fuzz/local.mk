# SPDX-License-Identifier: BSD-3-Clause
# Fuzz targets.  As plain tests they replay their corpus; make fuzzers builds them with clang.
fuzz_common = tests/fuzz/input.h tests/fuzz/device.h tests/fuzz/device.c tests/fuzz/messages.h
fuzz_replay_LDADD = tests/libstepped.la frontend/libfrontend.la libvhost/libcore.la

fuzz_tests = tests/fuzz/replay_json tests/fuzz/replay_messages tests/fuzz/replay_rings tests/fuzz/replay_scsi \
	tests/fuzz/replay_vscsi tests/fuzz/replay_walkers
check_PROGRAMS += $(fuzz_tests)
TESTS += $(fuzz_tests) tests/fuzz/long.sh

tests_fuzz_replay_json_SOURCES = tests/fuzz/replay.c tests/fuzz/target_json.c tests/fuzz/input.h
tests_fuzz_replay_json_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"json"'
tests_fuzz_replay_json_LDADD = daemons/libdaemons.la $(JSON_LIBS)

tests_fuzz_replay_messages_SOURCES = tests/fuzz/replay.c tests/fuzz/target_messages.c $(fuzz_common)
tests_fuzz_replay_messages_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"messages"'
tests_fuzz_replay_messages_LDADD = $(fuzz_replay_LDADD)

tests_fuzz_replay_rings_SOURCES = tests/fuzz/replay.c tests/fuzz/target_rings.c $(fuzz_common)
tests_fuzz_replay_rings_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"rings"'
tests_fuzz_replay_rings_LDADD = $(fuzz_replay_LDADD)
tests_fuzz_replay_scsi_SOURCES = tests/fuzz/replay.c tests/fuzz/target_scsi.c $(fuzz_common)
tests_fuzz_replay_scsi_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"scsi"'
tests_fuzz_replay_scsi_LDADD = scsi/libscsi.la $(fuzz_replay_LDADD)
tests_fuzz_replay_vscsi_SOURCES = tests/fuzz/replay.c tests/fuzz/target_vscsi.c $(fuzz_common)
tests_fuzz_replay_vscsi_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"vscsi"'
tests_fuzz_replay_vscsi_LDADD = scsi/libscsi.la $(fuzz_replay_LDADD)
tests_fuzz_replay_walkers_SOURCES = tests/fuzz/replay.c tests/fuzz/target_walkers.c $(fuzz_common)
tests_fuzz_replay_walkers_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_TARGET='"walkers"'
tests_fuzz_replay_walkers_LDADD = $(fuzz_replay_LDADD)

# Sessions as seeds: tests/fuzz/make_seeds tests/fuzz/corpus/messages
check_PROGRAMS += tests/fuzz/make_seeds
tests_fuzz_make_seeds_SOURCES = tests/fuzz/make_seeds.c tests/proxy.c tests/proxy.h \
	tests/session.c tests/session.h $(fuzz_common)
tests_fuzz_make_seeds_LDADD = $(fuzz_replay_LDADD)

EXTRA_DIST += tests/fuzz/README.md tests/fuzz/corpus tests/fuzz/long.sh tests/fuzz/build.sh

# All objects anew, by clang; one command for each folder since names are alike.
FUZZ_CFLAGS = -g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=undefined
fuzz_clang = $(FUZZ_CC) $(DEFS) $(DEFAULT_INCLUDES) $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(URING_CFLAGS) -std=gnu11 \
	-pthread $(FUZZ_CFLAGS)
fuzz_libvhost = $(libvhost_libcore_la_SOURCES) $(libvhost_libutil_la_SOURCES)
fuzz_daemons = $(daemons_libjson_la_SOURCES) $(daemons_libdaemons_la_SOURCES)
fuzz_objects = tests/fuzz/clang

fuzzers: $(fuzz_libvhost) $(frontend_libfrontend_la_SOURCES) $(fuzz_common) \
		$(tests_libstepped_la_SOURCES) $(storage_libstorage_la_SOURCES) \
		$(scsi_libscsi_la_SOURCES) $(fuzz_daemons)
	@test -n '$(FUZZ_CC)' || { echo 'there is no clang with -fsanitize=fuzzer' >&2; exit 1; }
	$(AM_V_GEN)srcdir='$(abs_srcdir)' out=$(fuzz_objects) clang="$(fuzz_clang)" \
		libs='$(EVENT_LIBS) $(URING_LIBS) $(AIO_LIBS) $(JSON_LIBS) $(CAP_NG_LIBS) $(SECCOMP_LIBS)' $(SHELL) $(srcdir)/tests/fuzz/build.sh \
		'$(fuzz_libvhost)' '$(frontend_libfrontend_la_SOURCES)' \
		'$(fuzz_common) $(tests_libstepped_la_SOURCES)' \
		'$(storage_libstorage_la_SOURCES)' '$(scsi_libscsi_la_SOURCES)' '$(fuzz_daemons)'
.PHONY: fuzzers

clean-local:
	rm -rf $(fuzz_objects)
