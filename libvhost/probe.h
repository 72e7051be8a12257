/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Static probes (USDT) for bpftrace, perf and gdb, of which doc/probes.md tells; each costs a nop.
 *
 * Their arguments should be what lies in memory or a register anyway.  Without the header of
 * SystemTap there are none.
 */
#ifndef VHOST_PROBE_H
#define VHOST_PROBE_H

#include "config.h"

#ifdef HAVE_SYS_SDT_H
#include <sys/sdt.h>

#define PROBE2(name, a, b) DTRACE_PROBE2(libvhost, name, a, b)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(libvhost, name, a, b, c)
#define PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(libvhost, name, a, b, c, d, e)
#else
#define PROBE2(name, a, b) do { (void)(a), (void)(b); } while (0)
#define PROBE3(name, a, b, c) do { (void)(a), (void)(b), (void)(c); } while (0)
#define PROBE5(name, a, b, c, d, e) do { (void)(a), (void)(b), (void)(c), (void)(d), (void)(e); } while (0)
#endif

#endif /* VHOST_PROBE_H */
