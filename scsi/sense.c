/* SPDX-License-Identifier: BSD-3-Clause */
/* Sense data in both formats (SPC-4 4.5.2 and 4.5.3). */
#include "scsi/sense.h"

#include <string.h>

#include "scsi/op.h"

/* Where a field is (SPC-4 4.5.2.4.2): SKSV, C/D, BPV and bit pointer, field pointer. */
static void sense_field(uint8_t sks[3], const struct sense_data *data)
{
	sks[0] = 0x80;
	if (data->in_cdb)
		sks[0] |= 0x40;
	if (data->bit >= 0)
		sks[0] |= (uint8_t)(0x08 | data->bit);
	put_be16(&sks[1], data->byte);
}

static size_t sense_fixed(uint8_t *buf, const struct sense_data *data)
{
	buf[0] = 0x70;
	buf[2] = (uint8_t)(data->code >> 16);
	buf[7] = 10;
	put_be16(&buf[12], (uint16_t)data->code);
	/* A number which has no room is not told. */
	if (data->has_info && data->info <= UINT32_MAX) {
		buf[0] |= 0x80;
		put_be32(&buf[3], (uint32_t)data->info);
	}
	if (data->has_field)
		sense_field(&buf[15], data);
	return 18;
}

static size_t sense_descriptors(uint8_t *buf, const struct sense_data *data)
{
	size_t len = 8;

	buf[0] = 0x72;
	buf[1] = (uint8_t)(data->code >> 16);
	put_be16(&buf[2], (uint16_t)data->code);
	if (data->has_info) {
		buf[len] = 0x00;
		buf[len + 1] = 0x0a;
		buf[len + 2] = 0x80;
		put_be64(&buf[len + 4], data->info);
		len += 12;
	}
	if (data->has_field) {
		buf[len] = 0x02;
		buf[len + 1] = 0x06;
		sense_field(&buf[len + 4], data);
		len += 8;
	}
	buf[7] = (uint8_t)(len - 8);
	return len;
}

size_t sense_build(uint8_t buf[SENSE_LEN_MAX], bool descriptor, const struct sense_data *data)
{
	memset(buf, 0, SENSE_LEN_MAX);
	return descriptor ? sense_descriptors(buf, data) : sense_fixed(buf, data);
}

_Static_assert(SENSE_LEN_MAX <= SCSI_SENSE_MAX, "a command has room for all sense data");

static void sense_put(struct scsi_cmd *cmd, const struct sense_data *data)
{
	const bool descriptor = cmd->lun && spc_mode(cmd->lun, SPC_D_SENSE);

	cmd->status = SCSI_CHECK_CONDITION;
	cmd->sense_len = sense_build(cmd->sense, descriptor, data);
}

void scsi_check_condition(struct scsi_cmd *cmd, uint8_t key, uint16_t asc_ascq)
{
	const struct sense_data data = { .code = (uint32_t)key << 16 | asc_ascq };

	sense_put(cmd, &data);
}

static void sense_fail(struct scsi_cmd *cmd, const struct sense_data *data)
{
	sense_put(cmd, data);
	scsi_finish(cmd);
}

void scsi_fail(struct scsi_cmd *cmd, uint32_t code)
{
	const struct sense_data data = { .code = code };

	sense_fail(cmd, &data);
}

void scsi_fail_info(struct scsi_cmd *cmd, uint32_t code, uint64_t info)
{
	const struct sense_data data = { .code = code, .has_info = true, .info = info };

	sense_fail(cmd, &data);
}

static void sense_fail_field(struct scsi_cmd *cmd, bool in_cdb, unsigned int byte, int bit)
{
	const struct sense_data data = {
		.code = in_cdb ? SENSE_BAD_CDB : SENSE_BAD_PARAM,
		.has_field = true,
		.in_cdb = in_cdb,
		.byte = (uint16_t)MIN(byte, UINT16_MAX),
		.bit = (int8_t)bit,
	};

	sense_fail(cmd, &data);
}

void scsi_fail_cdb(struct scsi_cmd *cmd, unsigned int byte, int bit)
{
	sense_fail_field(cmd, true, byte, bit);
}

void scsi_fail_param(struct scsi_cmd *cmd, unsigned int byte, int bit)
{
	sense_fail_field(cmd, false, byte, bit);
}
