/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One unit on an image in memory, and commands to it as tables of cases.
 *
 * Cases of initiator 0, which is the driver, go through a virtqueue of a virtio-scsi device;
 * those of others, and single commands, straight to the unit.
 *
 * Data is written as text: bytes in hexadecimal, separated by blanks; "XX*N" is a byte N times,
 * and where data is expected, ".." is any byte.
 */
#ifndef TESTS_SCSI_FIXTURE_H
#define TESTS_SCSI_FIXTURE_H

#include <event2/event.h>

#include "frontend/fe_scsi.h"
#include "libvhost.h"
#include "scsi/virtio_scsi.h"
#include "tests/stepped.h"
#include "tests/tap.h"
#include "util.h"

#define SF_BUF	(4u << 20)		/* bytes, of data-in and data-out */

struct sf {
	struct stepped s;
	struct virtio_scsi *scsi;
	struct fe_mem mem;
	struct fe_ring ring;
	struct fe_scsi fs;
	struct event_base *base;	/* of s, as worker */
	struct vhost_worker *worker;
	struct storage *st;
	struct scsi_target *target;
	struct scsi_nexus *nexus;
	struct scsi_address address;
	uint32_t initiator;		/* of the commands which are made */
	int fd;				/* the image */
	uint8_t *image;			/* mapped */
	size_t size;			/* bytes */
	uint8_t *out, *in;		/* [SF_BUF] */
};

/* How a unit is made; zero is a disk of 1024 blocks of 512 bytes. */
struct sf_params {
	size_t size;			/* bytes */
	unsigned int block_size;
	bool cdrom, read_only, write_through;
	const char *reservations;
	const char *fault;		/* see storage.h */
	bool later;			/* operations on single blocks end later, on helper threads */
};

/* Without the unit attention of the beginning. */
void sf_open(struct sf *sf, const struct sf_params *params);
void sf_close(struct sf *sf);
/* Another unit of the same target. */
void sf_add_lun(struct sf *sf, uint16_t lun);
/* What commands of this name are begun with. */
void sf_cmd(const struct sf *sf, struct scsi_cmd *cmd, const char *cdb);
/* Each block of 512 bytes gets its number and one; blocks from here on hold this byte. */
void sf_fill(struct sf *sf);
void sf_image_is(const struct sf *sf, size_t lba, size_t blocks, uint8_t byte);

/* Submit; and wait for it. */
void sf_start(struct sf *sf, struct scsi_cmd *cmd);
void sf_wait(struct sf *sf, struct scsi_cmd *cmd);
bool sf_ended(const struct scsi_cmd *cmd);

/* Expected ends: GOOD is 0, sense is key << 16 | ASC << 8 | ASCQ. */
enum sf_end {
	SF_GOOD = 0,
	SF_CONFLICT = 0x1000000,
	SF_MET,
	SF_OVERRUN,
	SF_NO_TARGET,
};

/* ILLEGAL REQUEST: what is wrong. */
#define BAD_LENGTH	0x051a00	/* of the parameter list */
#define BAD_OPCODE	0x052000
#define BAD_LBA		0x052100
#define BAD_CDB		0x052400
#define BAD_PARAM	0x052600

/* The field which sense data points at: byte of CDB or parameter list. */
#define SF_CDB(byte)	(0x10000 | (byte))
#define SF_PARAM(byte)	(0x20000 | (byte))

struct sf_case {
	const char *what;
	const char *cdb;
	const char *out;		/* data-out, NULL: none */
	size_t room;			/* bytes of data-in */
	uint32_t end;			/* enum sf_end, or sense */
	size_t transferred;
	const char *in;			/* the beginning of data-in, NULL: does not matter */
	unsigned int field;		/* SF_CDB() or SF_PARAM(), 0: none is expected */
	uint32_t initiator;
};

/* Bytes of a text; with any, it says of each whether it is "..". */
size_t sf_parse(const char *text, uint8_t *buf, bool *any);
void sf_run(struct sf *sf, const struct sf_case *c);
void sf_run_all(struct sf *sf, const struct sf_case *cases, size_t n);
#define SF_RUN(sf, cases) sf_run_all(sf, cases, ARRAY_SIZE(cases))

/* The end of a command as enum sf_end or sense. */
uint32_t sf_end(const struct scsi_cmd *cmd);

#endif /* TESTS_SCSI_FIXTURE_H */
