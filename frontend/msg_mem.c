/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end's messages about guest memory, before and during postcopy. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "frontend/fe_migrate.h"
#include "frontend/msg.h"

static struct vu_region mem_wire_region(const struct fe_region *r)
{
	return (struct vu_region){
		.guest_addr = r->gpa,
		.size = r->size,
		.user_addr = r->uva,
		.mmap_offset = r->offset,
	};
}

/* The table as it is sent, the fds with it; returns its size, with only the regions in use. */
static uint32_t mem_wire_table(const struct fe_mem *mem, struct vu_memory *table,
			       int fds[VU_FDS_MAX])
{
	unsigned int i;

	*table = (struct vu_memory){ .num_regions = mem->num };
	for (i = 0; i < mem->num; i++) {
		table->regions[i] = mem_wire_region(&mem->regions[i]);
		fds[i] = mem->regions[i].fd;
	}
	return (uint32_t)(offsetof(struct vu_memory, regions) +
			  mem->num * sizeof(struct vu_region));
}

int fe_set_mem_table(struct fe *fe, const struct fe_mem *mem)
{
	struct vu_memory table;
	int fds[VU_FDS_MAX];
	uint32_t size;

	if (mem->num > VU_FDS_MAX)
		return -EINVAL;
	size = mem_wire_table(mem, &table, fds);
	return fe_request(fe, VU_SET_MEM_TABLE, &table, size, fds, mem->num);
}

int fe_get_max_mem_slots(struct fe *fe, uint64_t *slots)
{
	return fe_msg_query_u64(fe, VU_GET_MAX_MEM_SLOTS, slots);
}

int fe_add_mem_reg(struct fe *fe, const struct fe_region *region)
{
	const struct vu_mem_reg reg = { .region = mem_wire_region(region) };
	int err = fe_request(fe, VU_ADD_MEM_REG, &reg, sizeof(reg), &region->fd, 1);

	if (!err)
		fe->mem_regs++;
	return err;
}

int fe_rem_mem_reg(struct fe *fe, const struct fe_region *region)
{
	const struct vu_mem_reg reg = { .region = mem_wire_region(region) };
	int err = fe_request(fe, VU_REM_MEM_REG, &reg, sizeof(reg), NULL, 0);

	if (!err)
		fe->mem_regs--;
	return err;
}

/* The back-end repeats what it was told, with its own address instead of ours. */
static int mem_take_base(const struct vu_region *told, const struct vu_region *said,
			 uint64_t *base)
{
	if (said->guest_addr != told->guest_addr || said->size != told->size ||
	    said->mmap_offset != told->mmap_offset)
		return -EPROTO;
	*base = said->user_addr;
	return 0;
}

int fe_postcopy_set_mem_table(struct fe *fe, const struct fe_mem *mem, uint64_t *bases)
{
	struct vu_memory table;
	struct fe_msg reply;
	int fds[VU_FDS_MAX];
	unsigned int i;
	uint32_t size;
	int err;

	if (mem->num > VU_FDS_MAX)
		return -EINVAL;
	size = mem_wire_table(mem, &table, fds);
	err = fe_query(fe, VU_SET_MEM_TABLE, &table, size, fds, mem->num, &reply);
	if (!err)
		err = fe_msg_check_plain(&reply, size);
	if (!err && reply.u.memory.num_regions != mem->num)
		err = -EPROTO;
	for (i = 0; i < mem->num && !err; i++)
		err = mem_take_base(&table.regions[i], &reply.u.memory.regions[i], &bases[i]);
	return err;
}

int fe_postcopy_add_mem_reg(struct fe *fe, const struct fe_region *region, uint64_t *base)
{
	const struct vu_mem_reg reg = { .region = mem_wire_region(region) };
	struct fe_msg reply;
	int err = fe_query(fe, VU_ADD_MEM_REG, &reg, sizeof(reg), &region->fd, 1, &reply);

	if (!err)
		err = fe_msg_check_plain(&reply, sizeof(reply.u.mem_reg));
	if (!err)
		err = mem_take_base(&reg.region, &reply.u.mem_reg.region, base);
	if (!err)
		fe->mem_regs++;
	return err;
}

int fe_postcopy_go_ahead(struct fe *fe, uint32_t request)
{
	const struct vu_header hdr = {
		.request = request, .flags = VU_VERSION, .size = sizeof(uint64_t),
	};
	const uint64_t ok = 0;

	return fe_send_raw(fe, &hdr, &ok, sizeof(ok), NULL, 0);
}
