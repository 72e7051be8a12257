#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# sg3_utils in User-mode Linux: what a real initiator's tools say of the units, by the text of SPC-4
# and SBC-3.

. "$(dirname "$0")/lib-uml.sh"

need sg_inq sg3-utils
daemon=$top_builddir/scsi/vhost-user-scsi
uml_type=8
uml_drivers="virtio_scsi sd_mod sr_mod sg"
guest_libs+=("$interop/guest-scsi.sh")

# What is called, with what status it ends, and lines of what it prints (blanks do not matter). The
# statuses are those of sg3_utils(8): the sense key's number but for 9 (invalid opcode), 22 (LBA
# out of range) and 24 (reservation conflict).
#
#   STATUS COMMAND
#   	line
cat >"$tmp/table" <<'END'
0 sg_inq $disk
	PQual=0 PDT=0 RMB=0 LU_CONG=0 hot_pluggable=0 version=0x06 [SPC-4]
	[AERC=0] [TrmTsk=0] NormACA=0 HiSUP=1 Resp_data_format=2
	SCCS=0 ACC=0 TPGS=0 3PC=0 Protect=0 [BQue=0]
	[RelAdr=0] WBus16=0 Sync=0 [Linked=0] [TranDis=0] CmdQue=1
	Vendor identification: libvhost
	Product identification: VIRTUAL DISK
	Unit serial number: first-light
0 sg_inq $cd
	PQual=0 PDT=5 RMB=1 LU_CONG=0 hot_pluggable=0 version=0x06 [SPC-4]
	Product identification: VIRTUAL CD-ROM
0 sg_inq --len=5 $disk
0 sg_inq --len=36 --raw $disk

0 sg_vpd $disk
	Supported VPD pages [sv]
	Unit serial number [sn]
	Device identification [di]
	Extended inquiry data [ei]
	Block limits (SBC) [bl]
	Block device characteristics (SBC) [bdc]
	Logical block provisioning (SBC) [lbpv]
0 sg_vpd -p sn $disk
	Unit serial number: first-light
0 sg_vpd -p di $disk
	Addressed logical unit:
	designator type: T10 vendor identification, code set: ASCII
	vendor id: libvhost
	designator type: NAA, code set: Binary
	designator type: Relative target port, code set: Binary
	Relative target port: 0x1
0 sg_vpd -p ei $disk
	UASK_SUP=0 GROUP_SUP=0 PRIOR_SUP=0 HEADSUP=1 ORDSUP=1 SIMPSUP=1
	WU_SUP=0 [CRD_SUP=0] NV_SUP=0 V_SUP=1
	Maximum supported sense data length=96
0 sg_vpd -p bl $disk
	Write same non-zero (WSNZ): 1
	Maximum compare and write length: 255 blocks
	Maximum transfer length: 65536 blocks
	Maximum unmap block descriptor count: 256
	Maximum atomic transfer length: 0 blocks [not reported]
0 sg_vpd -p bl $big
	Optimal unmap granularity: 1 blocks
	Maximum transfer length: 8192 blocks
0 sg_vpd -p bdc $disk
	Non-rotating medium (e.g. solid state)
0 sg_vpd -p lbpv $disk
	Unmap command supported (LBPU): 1
	Write same (16) with unmap bit supported (LBPWS): 1
	Write same (10) with unmap bit supported (LBPWS10): 1
	Logical block provisioning read zeros (LBPRZ): 1
	Anchored LBAs supported (ANC_SUP): 0
	Provisioning type: 2 (thin provisioned)
0 sg_vpd -p lbpv $ro
	Unmap command supported (LBPU): 0
# There is no such page: EDOM.
83 sg_vpd -p 0x99 $disk
83 sg_vpd -p bl $cd
5 sg_vpd --force -p 0x99 $disk

0 sg_modes -a $disk
	Mode data length=72, medium type=0x00, WP=0, DpoFua=1, longlba=0
	00 00 02 00 00 00 00 02 00
	>> Read-Write error recovery, page_control: current
	>> Caching, page_control: current
	00 08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00
	>> Control, page_control: current
	>> Informational exceptions control, page_control: current
0 sg_modes -6 -p 8 $disk
	Mode data length=32, medium type=0x00, WP=0, DpoFua=1, longlba=0
0 sg_modes -p 8 -c 1 $disk
	>> Caching, page_control: changeable
	00 08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00
0 sg_modes --dbd -p 8 $disk
	Mode data length=28, medium type=0x00, WP=0, DpoFua=1, longlba=0
	Block descriptor length=0
0 sg_modes --llbaa -p 8 $disk
	Mode data length=44, medium type=0x00, WP=0, DpoFua=1, longlba=1
	Block descriptor length=16
0 sg_modes -p 8 $big
	00 00 00 20 00 00 00 10 00
0 sg_modes -p 8 $ro
	Mode data length=36, medium type=0x00, WP=1, DpoFua=1, longlba=0
5 sg_modes -p 0x3e $disk
5 sg_modes -p 8 -c 3 $disk
0 sg_modes $cd
	>> MM capabilities and mechanical status (obsolete), page_control: current

0 sg_readcap $disk
	Last LBA=131071 (0x1ffff), Number of logical blocks=131072
	Logical block length=512 bytes
0 sg_readcap -l $disk
	Protection: prot_en=0, p_type=0, p_i_exponent=0
	Logical block provisioning: lbpme=1, lbprz=1
	Last LBA=131071 (0x1ffff), Number of logical blocks=131072
	Lowest aligned LBA=0
0 sg_readcap -l $big
	Last LBA=8191 (0x1fff), Number of logical blocks=8192
	Logical block length=4096 bytes
0 sg_readcap -l $ro_sg
	Logical block provisioning: lbpme=0, lbprz=0
0 sg_readcap $cd
	Last LBA=999 (0x3e7), Number of logical blocks=1000
	Logical block length=2048 bytes
9 sg_readcap -l $cd

0 sg_luns $disk
	0000000000000000
	0001000000000000
	0002000000000000
	0003000000000000
	412c000000000000
0 sg_luns $other
	Lun list length = 8 which imples 1 lun entry
	0000000000000000
0 sg_luns -s 1 $disk
	Lun list length = 8 which imples 1 lun entry
	c101000000000000
0 sg_luns -s 2 $disk
	Lun list length = 48 which imples 6 lun entries
	c101000000000000
0 sg_luns --maxlen=16 $disk
	Lun list length = 40 which imples 5 lun entries
	0000000000000000
5 sg_luns -s 0x77 $disk

0 sg_turs $disk
0 sg_turs --number=100 $big
0 sg_requests $disk
	Fixed format, current; Sense key: No Sense
	Additional sense: No additional sense information
0 sg_requests --desc $disk
	Descriptor format, current; Sense key: No Sense
0 sg_requests --maxlen=18 $cd

# A block of data, and what compares with it.
0 sg_write_same --lba=100 --num=50 --in=$new --xferlen=512 $disk
0 sg_verify --lba=100 --count=1 --ndo=512 --in=$new $disk
0 sg_verify --16 --lba=149 --count=1 --ndo=512 --in=$new $disk
0 sg_verify --lba=100 --count=50 --ebytchk=3 --ndo=512 --in=$new $disk
14 sg_verify --lba=99 --count=1 --ndo=512 --in=$new $disk
14 sg_verify --lba=150 --count=1 --ndo=512 --in=$new $disk
0 sg_verify --lba=0 --count=1000 $disk
0 sg_verify --lba=131071 --count=1 $disk
0 sg_verify --lba=131072 --count=0 --bpc=1 $disk
22 sg_verify --lba=131071 --count=2 $disk
22 sg_verify --16 --lba=0x7fffffffffffffff --count=1 $disk
5 sg_verify --lba=0 --count=1 --vrprotect=1 $disk
0 sg_verify --lba=999 --count=1 --readonly $cd

# Where it is unmapped it reads as zeroes.
0 sg_unmap --lba=96 --num=8 --force $disk
0 sg_verify --lba=100 --count=1 --ndo=512 --in=$zero $disk
0 sg_verify --lba=104 --count=1 --ndo=512 --in=$new $disk
0 sg_unmap --lba=104,120 --num=8,8 --force $disk
0 sg_verify --lba=120 --count=1 --ndo=512 --in=$zero $disk
0 sg_verify --lba=112 --count=1 --ndo=512 --in=$new $disk
0 sg_unmap --lba=131064 --num=8 --force $disk
0 sg_unmap --lba=0 --num=0 --force $disk
22 sg_unmap --lba=131071 --num=2 --force $disk
22 sg_unmap --lba=0x7fffffffffffffff --num=2 --force $disk
5 sg_unmap --anchor --lba=0 --num=8 --force $disk
9 sg_unmap --lba=0 --num=8 --force $ro_sg
9 sg_unmap --lba=0 --num=8 --force $cd

0 sg_write_same --10 --lba=200 --num=8 --in=$new --xferlen=512 $disk
0 sg_write_same --16 --ndob --lba=200 --num=4 $disk
0 sg_verify --lba=203 --count=1 --ndo=512 --in=$zero $disk
0 sg_verify --lba=204 --count=1 --ndo=512 --in=$new $disk
0 sg_write_same --16 --unmap --lba=204 --num=4 --in=$zero --xferlen=512 $disk
0 sg_verify --lba=204 --count=1 --ndo=512 --in=$zero $disk
0 sg_write_same --16 --lba=131071 --num=1 --in=$new --xferlen=512 $disk
5 sg_write_same --16 --lba=0 --num=0 --in=$zero --xferlen=512 $disk
22 sg_write_same --16 --lba=131071 --num=2 --in=$zero --xferlen=512 $disk
5 sg_write_same --16 --anchor --unmap --lba=0 --num=8 --in=$zero --xferlen=512 $disk
7 sg_write_same --16 --lba=0 --num=8 --in=$zero --xferlen=512 $ro_sg

0 sg_compare_and_write --in=$zero_new --lba=300 --num=1 --xferlen=1024 $disk
0 sg_verify --lba=300 --count=1 --ndo=512 --in=$new $disk
14 sg_compare_and_write --in=$zero_new --lba=300 --num=1 --xferlen=1024 $disk
	Miscompare at byte offset: 0 [0x0]
0 sg_compare_and_write --in=$zero_new --lba=131070 --num=1 --xferlen=1024 $disk
22 sg_compare_and_write --in=$zero_new --lba=131072 --num=1 --xferlen=1024 $disk
7 sg_compare_and_write --in=$zero_new --lba=0 --num=1 --xferlen=1024 $ro_sg

0 sg_get_lba_status --lba=0 $disk
0 sg_get_lba_status --lba=131071 $disk
22 sg_get_lba_status --lba=131072 $disk
9 sg_get_lba_status --lba=0 $cd

0 sg_opcodes $disk
	00 6 0,0 Test Unit Ready
	42 10 0,0 Unmap
	89 16 0,0 Compare and write
	9e 10 16 0,0 Read capacity(16)
	9e 12 16 0,0 Get LBA status(16)
	a3 c 12 0,0 Report supported operation codes
0 sg_opcodes --opcode=0x9e,0x10 $disk
	Command is supported [conforming to SCSI standard]
	Usage data: 9e 10 00 00 00 00 00 00 00 00 ff ff ff ff 00 00
0 sg_opcodes --opcode=0x07 $disk
	Command is NOT supported
0 sg_opcodes --tmf $disk
	Abort task
	Abort task set
	Clear task set
	Logical unit reset
	Query task
	Query task set
	I_T nexus reset
0 sg_opcodes $cd
	be 12 0,0 Read CD

0 sg_persist -i -k $disk
	PR generation=0x0, there are NO registered reservation keys
0 sg_persist -i -r $disk
	PR generation=0x0, there is NO reservation held
0 sg_persist -i -c $disk
	Compatible Reservation Handling(CRH): 1
	Persist Through Power Loss Capable(PTPL_C): 1
	Persist Through Power Loss Active(PTPL_A): 0
	Write Exclusive, all registrants: 1
	Exclusive Access, all registrants: 1
24 sg_persist -o --reserve --param-rk=0x123abc --prout-type=5 $disk
0 sg_persist -o --register --param-sark=0x123abc $disk
0 sg_persist -i -k $disk
	PR generation=0x1, 1 registered reservation key follows:
	0x123abc
0 sg_persist -o --reserve --param-rk=0x123abc --prout-type=5 $disk
0 sg_persist -i -r $disk
	PR generation=0x1, Reservation follows:
	Key=0x123abc
	scope: LU_SCOPE, type: Write Exclusive, registrants only
0 sg_persist -i -s $disk
	<< Reservation holder >>
24 sg_persist -o --reserve --param-rk=0x999 --prout-type=5 $disk
24 sg_persist -o --reserve --param-rk=0x123abc --prout-type=1 $disk
24 sg_persist -o --register --param-rk=0x999 --param-sark=0x1 $disk
5 sg_persist -o --release --param-rk=0x123abc --prout-type=1 $disk
5 sg_persist -o --reserve --param-rk=0x123abc --prout-type=2 $disk
0 sg_persist -o --preempt --param-rk=0x123abc --param-sark=0x123abc --prout-type=3 $disk
0 sg_persist -i -r $disk
	scope: LU_SCOPE, type: Exclusive Access
0 sg_reset --device $disk
6 sg_turs $disk
0 sg_persist -i -r $disk
	Key=0x123abc
0 sg_persist -o --release --param-rk=0x123abc --prout-type=3 $disk
0 sg_persist -o --release --param-rk=0x123abc --prout-type=3 $disk
0 sg_persist -o --register --param-rk=0x123abc --param-sark=0x77 --param-aptpl $disk
0 sg_persist -i -c $disk
	Persist Through Power Loss Active(PTPL_A): 1
0 sg_persist -o --clear --param-rk=0x77 $disk
0 sg_persist -i -k $disk
	PR generation=0x4, there are NO registered reservation keys
0 sg_persist -o --register-ignore --param-sark=1 $disk
0 sg_persist -o --register --param-rk=1 --param-sark=0 $disk
24 sg_persist -o --release --param-rk=1 --prout-type=1 $disk
# There is no file for this one's.
5 sg_persist -o --register --param-sark=1 --param-aptpl $big

# A reset: its commands have ended, it says so once, and its mode pages are as before.
0 sg_wr_mode --page=8 --mask=0,0,4 --contents=8,12,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0 $disk
0 sg_modes -p 8 $disk
	00 08 12 00 00 00 00 00 00 00 00 00 00 00 00 00 00
0 sg_reset --device $disk
6 sg_turs --verbose $disk
	Additional sense: Bus device reset function occurred
0 sg_turs $disk
0 sg_turs $big
0 sg_modes -p 8 $disk
	00 08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00
0 sg_reset --device $disk
0 sg_inq $disk
0 sg_luns $disk
6 sg_turs $disk

0 sg_start --stop $disk
2 sg_turs --verbose $disk
	Additional sense: Logical unit not ready, initializing command required
2 sg_verify --lba=0 --count=1 $disk
0 sg_inq $disk
0 sg_start --start $disk
0 sg_turs $disk
0 sg_sync $disk
0 sg_sync --16 --lba=131071 --count=1 $disk
22 sg_sync --16 --lba=131072 --count=1 $disk
0 sg_prevent $cd_sg
5 sg_start --eject $cd_sg
0 sg_prevent --allow $cd_sg
0 sg_start --eject $cd_sg
2 sg_turs --verbose $cd_sg
	Additional sense: Medium not present - tray open
0 sg_start --load $cd_sg
6 sg_turs --verbose $cd_sg
	Additional sense: Not ready to ready change, medium may have changed
0 sg_turs $cd_sg
0 sg_logs $disk
	0x00 Supported log pages [sp]
5 sg_logs --page=0x3e $disk
0 sg_senddiag --test $disk
END

image disk 64M; disk=$image
image big 32M; big=$image
image cd 2000K; cd=$image
image ro 1M; ro=$image
start_daemon scsi --lun=0,file="$disk",serial=first-light,reservations="$tmp/reservations" --lun=1,file="$cd",cdrom \
	--lun=2,file="$big",block-size=4096 --lun=3,file="$ro",read-only --lun=300,engine=null,size=1M \
	--lun=9:0,engine=null,size=1M

uml_guest "guest" scsi TABLE="$tmp/table" <<'END'
disk=/dev/$(disk 0:0) cd=/dev/$(disk 0:1) big=/dev/$(disk 0:2) ro=/dev/$(disk 0:3) other=/dev/$(disk 9:0)
last=$(disk 0:300)
# Linux lets nobody write to a disk which it knows to be read-only, and has its own mind about the
# door of a CD-ROM, but not this way.
ro_sg=/dev/$(ls "$scsi_devices/"*:0:0:3/scsi_generic)
cd_sg=/dev/$(ls "$scsi_devices/"*:0:0:1/scsi_generic)
zero=/mnt/zero new=/mnt/new zero_new=/mnt/zero_new
head -c 512 /dev/zero >$zero
pattern new 512 >$new
cat $zero $new >$zero_new

# Print what of the file of lines is not among those which were said; blanks are squeezed.
missing()
{
	awk '{ $1 = $1 }
		FILENAME == ARGV[1] { said[$0]; next }
		!($0 in said) { print "wanted line: " $0 }' "$1" "$2"
}

# run STATUS COMMAND: with the lines in /mnt/lines.
run()
{
	eval "timeout 60 $2" >/mnt/said 2>&1 </dev/null
	status=$?
	{
		[ $status -eq $1 ] || echo "wanted status $1, found $status"
		[ ! -s /mnt/lines ] || missing /mnt/said /mnt/lines
	} >/mnt/missing
	[ ! -s /mnt/missing ]
	status=$?
	echo "RESULT $status $2"
	[ $status -eq 0 ] || cat /mnt/missing /mnt/said
}

# The power on of all units.
for unit in $disk $cd $big $ro $other; do
	sg_turs $unit >/mnt/said 2>&1
done
command=
: >/mnt/lines
tab=$(printf '\t')
{ cat "$TABLE"; echo end; } >/mnt/table
while IFS= read -r row; do
	case $row in
	"$tab"*) echo "$row" >>/mnt/lines; continue ;;
	'#'*|'') continue ;;
	esac
	[ -z "$command" ] || run $wanted "$command"
	wanted=${row%% *} command=${row#* }
	: >/mnt/lines
done </mnt/table
END
stop_daemon scsi
finish
