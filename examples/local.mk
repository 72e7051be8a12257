# SPDX-License-Identifier: BSD-3-Clause
# Whole devices in one file each: built here, driven by tests, and installed as documentation.
noinst_PROGRAMS += examples/rng examples/template
examples_rng_SOURCES = examples/rng.c
examples_rng_LDADD = libvhost/libvhost.la $(EVENT_LIBS)
examples_template_SOURCES = examples/template.c
examples_template_LDADD = libvhost/libvhost.la $(EVENT_LIBS)

examplesdir = $(docdir)/examples
dist_examples_DATA = examples/rng.c examples/template.c
