"""The C extension, for the type checker. Written by cffi_build/stubgen.py; do not edit."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, TypeVar, overload

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])

class Cdata:
    """Anything that lives in C."""
    def __bool__(self) -> bool: ...

class Array(Cdata, Generic[_T]):
    """An array, or a pointer to the first of several."""
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_T]: ...
    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Array[_T]: ...
    def __setitem__(self, index: int | slice, value: Any) -> None: ...

class Struct(Cdata):
    """A structure, or a pointer to one or several."""
    def __getitem__(self, index: int) -> Any: ...
    def __setitem__(self, index: int, value: Any) -> None: ...

class struct_acpiregs(Struct):
    dev: struct_dev

class struct_acpiregs_state(Struct):
    version: int
    ged: int
    sleep_control: int
    sleep_status: int
    sleep_type: int
    pm1_status: int
    pm1_enable: int
    pm1_control: int
    gpe_status: int
    gpe_enable: int
    tmr_seen: int

class struct_blk(Struct):
    pass

class struct_blk_counters(Struct):
    reads: int
    writes: int
    flushes: int
    discards: int
    zeros: int
    read_bytes: int
    written_bytes: int
    errors: int
    again: int
    cached: int

class struct_blk_setup(Struct):
    loop: struct_loop
    fd: int
    direct_fd: int
    memory_align: int
    block_align: int
    device: bool
    engine: int
    depth: int

class struct_bus(Struct):
    pass

class struct_bus_counts(Struct):
    unclaimed_reads: int
    unclaimed_writes: int
    old_tables: int

class struct_bus_reader(Struct):
    pass

class struct_chan(Struct):
    pass

class struct_chan_counters(Struct):
    out_bytes: int
    in_bytes: int
    dropped_bytes: int
    in_dropped_bytes: int
    flushes: int
    wakeups: int
    peers: int
    buffered: int

class struct_chan_front(Struct):
    rx: Any
    tx_ready: Any
    room: Any
    filled: Any
    peer: Any
    opaque: Any

class struct_coalesce(Struct):
    pass

class struct_coalesce_counters(Struct):
    drains: int
    switches: int
    on: int

class struct_coalesce_zone(Struct):
    addr: int
    size: int

class struct_dbgexit(Struct):
    dev: struct_dev

class struct_dbgexit_state(Struct):
    version: int

class struct_debugcon(Struct):
    dev: struct_dev
    zone: struct_coalesce_zone

class struct_debugcon_counters(Struct):
    bytes: int
    lost: int

class struct_debugcon_state(Struct):
    version: int
    bytes: int

class struct_dev(Struct):
    flags: int

class struct_evtchn(Struct):
    memory: struct_gmem
    dev: struct_gmem_dev
    page: int
    wide: bool

class struct_fwcfg(Struct):
    dev: struct_dev

class struct_fwcfg_state(Struct):
    version: int
    key: int
    offset: int

class struct_gmem(Struct):
    pass

class struct_gmem_counts(Struct):
    reads: int
    writes: int
    denied: int

class struct_gmem_dev(Struct):
    window: Any
    window_opaque: Any

class struct_gmem_piece(Struct):
    hva: Any
    len: int

class struct_gnttab(Struct):
    pass

class struct_gnttab_counters(Struct):
    mapped: int
    maps: int
    refused: int

class struct_hist(Struct):
    other: int
    slot: Array[struct_hist_slot]

class struct_hist_slot(Struct):
    key: int
    count: int

class struct_hpet(Struct):
    dev: struct_dev

class struct_hpet_state(Struct):
    version: int
    config: int
    status: int
    counter: int
    seen: int
    timer_config: Array[int]
    comparator: Array[int]
    period: Array[int]

class struct_i8042(Struct):
    dev: struct_dev

class struct_i8042_state(Struct):
    version: int
    status: int
    out: int
    reply: int
    have_reply: int
    reply_from_mouse: int
    command: int
    a20: int
    ram: Array[int]
    reporting: Array[int]
    argument_of: Array[int]
    scan_set: Array[int]
    resolution: Array[int]
    rate: Array[int]
    flags: Array[int]
    last: Array[int]
    count: Array[int]
    keyboard_queue: Array[int]
    mouse_queue: Array[int]

class struct_ifreq(Struct):
    ifr_name: Array[bytes]
    ifr_flags: int
    ifr_mtu: int

class struct_intx(Struct):
    trigger_fd: int
    resample_fd: int

class struct_ioapic(Struct):
    dev: struct_dev
    pins: int
    route_failures: int

class struct_ioapic_route(Struct):
    address: int
    data: int
    masked: int
    delivered: int

class struct_ioapic_state(Struct):
    version: int
    pins: int
    select: int
    id: int
    lines: int
    rte: Array[int]

class struct_ioapic_view(Struct):
    base_address: int
    ioregsel: int
    id: int
    irr: int
    pad: int
    redirtbl: Array[int]

class struct_iommu_destroy(Struct):
    size: int
    id: int

class struct_iommu_hw_info(Struct):
    size: int
    flags: int
    dev_id: int
    data_len: int
    data_uptr: int
    out_data_type: int

class struct_iommu_hwpt_alloc(Struct):
    size: int
    flags: int
    dev_id: int
    pt_id: int
    out_hwpt_id: int

class struct_iommu_hwpt_get_dirty_bitmap(Struct):
    size: int
    hwpt_id: int
    flags: int
    iova: int
    length: int
    page_size: int
    data: int

class struct_iommu_hwpt_set_dirty_tracking(Struct):
    size: int
    flags: int
    hwpt_id: int

class struct_iommu_ioas_alloc(Struct):
    size: int
    flags: int
    out_ioas_id: int

class struct_iommu_ioas_allow_iovas(Struct):
    size: int
    ioas_id: int
    num_iovas: int
    allowed_iovas: int

class struct_iommu_ioas_copy(Struct):
    size: int
    flags: int
    dst_ioas_id: int
    src_ioas_id: int
    length: int
    dst_iova: int
    src_iova: int

class struct_iommu_ioas_iova_ranges(Struct):
    size: int
    ioas_id: int
    num_iovas: int
    allowed_iovas: int
    out_iova_alignment: int

class struct_iommu_ioas_map(Struct):
    size: int
    flags: int
    ioas_id: int
    user_va: int
    length: int
    iova: int

class struct_iommu_ioas_unmap(Struct):
    size: int
    ioas_id: int
    iova: int
    length: int

class struct_iommu_iova_range(Struct):
    start: int
    last: int

class struct_iommu_option(Struct):
    size: int
    option_id: int
    op: int
    object_id: int
    val64: int

class struct_iommu_vfio_ioas(Struct):
    size: int
    ioas_id: int
    op: int

class struct_iovec(Struct):
    iov_base: Any
    iov_len: int

class struct_irq_hub(Struct):
    pass

class struct_irq_line(Struct):
    gsi: int
    level: int

class struct_irq_router(Struct):
    pass

class struct_irq_sink(Struct):
    set: Any
    chip: Any

class struct_kvm_clock_data(Struct):
    clock: int
    flags: int
    realtime: int
    host_tsc: int

class struct_kvm_coalesced_mmio_zone(Struct):
    addr: int
    size: int
    pio: int

class struct_kvm_cpuid2(Struct):
    nent: int
    entries: Array[struct_kvm_cpuid_entry2]

class struct_kvm_cpuid_entry2(Struct):
    function: int
    index: int
    flags: int
    eax: int
    ebx: int
    ecx: int
    edx: int

class struct_kvm_create_device(Struct):
    type: int
    fd: int
    flags: int

class struct_kvm_debugregs(Struct):
    db: Array[int]
    dr6: int
    dr7: int
    flags: int

class struct_kvm_device_attr(Struct):
    flags: int
    group: int
    attr: int
    addr: int

class struct_kvm_dtable(Struct):
    base: int
    limit: int

class struct_kvm_enable_cap(Struct):
    cap: int
    flags: int
    args: Array[int]

class struct_kvm_ioeventfd(Struct):
    datamatch: int
    addr: int
    len: int
    fd: int
    flags: int

class struct_kvm_irq_level(Struct):
    irq: int
    level: int

class struct_kvm_irq_routing_xen_evtchn(Struct):
    port: int
    vcpu: int
    priority: int

class struct_kvm_irqchip(Struct):
    chip_id: int

class struct_kvm_irqfd(Struct):
    fd: int
    gsi: int
    flags: int
    resamplefd: int

class struct_kvm_lapic_state(Struct):
    regs: Array[bytes]

class struct_kvm_mp_state(Struct):
    mp_state: int

class struct_kvm_msi(Struct):
    address_lo: int
    address_hi: int
    data: int
    flags: int
    devid: int

class struct_kvm_msr_entry(Struct):
    index: int
    data: int

class struct_kvm_msr_filter(Struct):
    flags: int
    ranges: Array[struct_kvm_msr_filter_range]

class struct_kvm_msr_filter_range(Struct):
    flags: int
    nmsrs: int
    base: int
    bitmap: Array[int]

class struct_kvm_msr_list(Struct):
    nmsrs: int
    indices: Array[int]

class struct_kvm_msrs(Struct):
    nmsrs: int
    entries: Array[struct_kvm_msr_entry]

class struct_kvm_pic_state(Struct):
    last_irr: int
    irr: int
    imr: int
    isr: int
    priority_add: int
    irq_base: int
    read_reg_select: int
    poll: int
    special_mask: int
    init_state: int
    auto_eoi: int
    rotate_on_auto_eoi: int
    special_fully_nested_mode: int
    init4: int
    elcr: int
    elcr_mask: int

class struct_kvm_pit_channel_state(Struct):
    count: int
    latched_count: int
    count_latched: int
    status_latched: int
    status: int
    read_state: int
    write_state: int
    write_latch: int
    rw_mode: int
    mode: int
    bcd: int
    gate: int
    count_load_time: int

class struct_kvm_pit_config(Struct):
    flags: int

class struct_kvm_pit_state2(Struct):
    channels: Array[struct_kvm_pit_channel_state]
    flags: int

class struct_kvm_regs(Struct):
    rax: int
    rbx: int
    rcx: int
    rdx: int
    rsi: int
    rdi: int
    rsp: int
    rbp: int
    r8: int
    r9: int
    r10: int
    r11: int
    r12: int
    r13: int
    r14: int
    r15: int
    rip: int
    rflags: int

class struct_kvm_run(Struct):
    request_interrupt_window: int
    immediate_exit: int
    exit_reason: int
    ready_for_interrupt_injection: int
    if_flag: int
    flags: int
    cr8: int
    apic_base: int

class struct_kvm_segment(Struct):
    base: int
    limit: int
    selector: int
    type: int
    present: int
    dpl: int
    db: int
    s: int
    l: int
    g: int
    avl: int
    unusable: int

class struct_kvm_sregs(Struct):
    cs: struct_kvm_segment
    ds: struct_kvm_segment
    es: struct_kvm_segment
    fs: struct_kvm_segment
    gs: struct_kvm_segment
    ss: struct_kvm_segment
    tr: struct_kvm_segment
    ldt: struct_kvm_segment
    gdt: struct_kvm_dtable
    idt: struct_kvm_dtable
    cr0: int
    cr2: int
    cr3: int
    cr4: int
    cr8: int
    efer: int
    apic_base: int
    interrupt_bitmap: Array[int]

class struct_kvm_stats_desc(Struct):
    flags: int
    exponent: int
    size: int
    offset: int
    bucket_size: int

class struct_kvm_stats_header(Struct):
    flags: int
    name_size: int
    num_desc: int
    id_offset: int
    desc_offset: int
    data_offset: int

class struct_kvm_translation(Struct):
    linear_address: int
    physical_address: int
    valid: int
    writeable: int
    usermode: int

class struct_kvm_userspace_memory_region(Struct):
    slot: int
    flags: int
    guest_phys_addr: int
    memory_size: int
    userspace_addr: int

class struct_kvm_vcpu_events(Struct):
    exception: Any
    interrupt: Any
    nmi: Any
    sipi_vector: int
    flags: int
    smi: Any
    exception_has_payload: int
    exception_payload: int

class struct_kvm_xcr(Struct):
    xcr: int
    value: int

class struct_kvm_xcrs(Struct):
    nr_xcrs: int
    flags: int
    xcrs: Array[struct_kvm_xcr]

class struct_kvm_xen_exit(Struct):
    type: int
    u: Any

class struct_kvm_xen_hvm_attr(Struct):
    type: int
    u: Any

class struct_kvm_xen_hvm_config(Struct):
    flags: int
    msr: int
    blob_addr_32: int
    blob_addr_64: int
    blob_size_32: int
    blob_size_64: int

class struct_kvm_xen_vcpu_attr(Struct):
    type: int
    u: Any

class struct_kvm_xsave(Struct):
    region: Array[int]

class struct_kvmwait(Struct):
    pass

class struct_legacy_route(Struct):
    pass

class struct_loop(Struct):
    pass

class struct_loop_counters(Struct):
    wakeups: int
    dispatched: int
    posted: int
    refused: int

class struct_loop_event(Struct):
    kind: int
    value: int
    source: Any

class struct_msix(Struct):
    dev: struct_dev
    failures: int
    vectors: int

class struct_msix_place(Struct):
    table_bar: int
    table_offset: int
    pba_bar: int
    pba_offset: int

class struct_msix_sink(Struct):
    changed: Any
    opaque: Any

class struct_msix_state(Struct):
    version: int
    vectors: int
    enabled: int
    function_mask: int
    table: Array[int]
    pending: Array[int]

class struct_nullport(Struct):
    dev: struct_dev

class struct_nullport_state(Struct):
    version: int

class struct_pci_cap_ops(Struct):
    pass

class struct_pci_counts(Struct):
    reads: int
    writes: int
    missing: int
    changes: int

class struct_pci_func(Struct):
    devfn: int

class struct_pci_func_state(Struct):
    version: int
    intx_level: int
    config: Array[int]

class struct_pci_ident(Struct):
    vendor: int
    device: int
    subsystem_vendor: int
    subsystem: int
    class_code: int
    revision: int
    pin: int

class struct_pci_pass_ops(Struct):
    read: Any
    write: Any

class struct_pci_root(Struct):
    dev: struct_dev

class struct_pci_root_state(Struct):
    version: int
    address: int

class struct_pcihp(Struct):
    dev: struct_dev

class struct_pcihp_state(Struct):
    version: int
    up: int
    down: int

class struct_pcitest(Struct):
    dev: struct_dev

class struct_pcitest_state(Struct):
    version: int
    current: int
    count: int

class struct_pic(Struct):
    dev: struct_dev

class struct_pic_state(Struct):
    version: int
    output: int
    lines: Array[int]
    irr: Array[int]
    imr: Array[int]
    isr: Array[int]
    elcr: Array[int]
    base: Array[int]
    lowest: Array[int]
    init: Array[int]
    icw4: Array[int]
    single: Array[int]
    level_mode: Array[int]
    auto_eoi: Array[int]
    rotate_on_auto_eoi: Array[int]
    special_mask: Array[int]
    special_fully_nested: Array[int]
    poll: Array[int]
    read_isr: Array[int]

class struct_pit(Struct):
    dev: struct_dev

class struct_pit_state(Struct):
    version: int
    mode: Array[int]
    access: Array[int]
    bcd: Array[int]
    gate: Array[int]
    loaded: Array[int]
    triggered: Array[int]
    have_low: Array[int]
    read_high: Array[int]
    low: Array[int]
    latched: Array[int]
    status_latched: Array[int]
    status: Array[int]
    latch: Array[int]
    reload: Array[int]
    pending: Array[int]
    start: Array[int]
    held: Array[int]
    port61: int
    line: int

class struct_pmtimer(Struct):
    dev: struct_dev

class struct_pmtimer_state(Struct):
    version: int
    bits: int

class struct_postcode(Struct):
    dev: struct_dev

class struct_postcode_mark(Struct):
    ns: int
    value: int

class struct_postcode_state(Struct):
    version: int
    last: int
    writes: int
    recorded: int
    ns: Array[int]
    value: Array[int]

class struct_pvpanic(Struct):
    dev: struct_dev

class struct_pvpanic_state(Struct):
    version: int
    seen: int

class struct_pydev(Struct):
    dev: struct_dev

class struct_pydev_counts(Struct):
    upcalls: int
    worst_ns: int

class struct_pydev_upcalls(Struct):
    read: Any
    write: Any

class struct_resetport(Struct):
    dev: struct_dev

class struct_resetport_state(Struct):
    version: int
    control: int
    port92: int

class struct_router_entry(Struct):
    gsi: int
    type: int
    address: int
    data: int

class struct_rtc(Struct):
    dev: struct_dev

class struct_rtc_state(Struct):
    version: int
    index: int
    weekday_shift: int
    seconds: int
    phase: int
    flags_ns: int
    cmos: Array[int]

class struct_split_sink(Struct):
    pass

class struct_testdev(Struct):
    dev: struct_dev

class struct_testdev_state(Struct):
    version: int
    latch: int
    level: Array[int]
    mmio: Array[int]

class struct_timer(Struct):
    deadline: int

class struct_trace(Struct):
    count: int
    record: Array[struct_trace_record]

class struct_trace_record(Struct):
    tsc: int
    address: int
    value: int
    reason: int
    size: int
    flags: int

class struct_uart(Struct):
    dev: struct_dev
    zone: struct_coalesce_zone
    raised: bool

class struct_uart_counters(Struct):
    rx_bytes: int
    tx_bytes: int
    overruns: int
    tx_lost: int
    breaks: int
    interrupts: int

class struct_uart_setup(Struct):
    hub: struct_irq_hub
    gsi: int
    clock: struct_vclock
    loop: struct_loop
    chan: struct_chan
    coalesce: struct_coalesce
    port: int

class struct_uart_state(Struct):
    version: int
    ier: int
    fcr: int
    lcr: int
    mcr: int
    scr: int
    dll: int
    dlm: int
    msr_delta: int
    overrun: int
    thre_pending: int
    timed_out: int
    rx_count: int
    tx_count: int
    rx: Array[int]
    rx_flags: Array[int]
    tx: Array[int]
    deadline: int

class struct_vblk(Struct):
    vdev: struct_virtio_dev

class struct_vblk_counters(Struct):
    unsupported: int
    rejected: int
    failed: int

class struct_vblk_setup(Struct):
    mem: struct_gmem
    loop: struct_loop
    blk: struct_blk
    sectors: int
    queues: int
    read_only: bool
    block_size: int
    physical_size: int
    min_io: int
    opt_io: int
    alignment: int
    serial: Array[int]

class struct_vblk_state(Struct):
    version: int
    sectors: int
    read_only: int

class struct_vclock(Struct):
    pass

class struct_vcon(Struct):
    vdev: struct_virtio_dev

class struct_vcon_control(Struct):
    ready: bool
    port: Array[struct_vcon_control_port]

class struct_vcon_control_port(Struct):
    flags: int
    tell: int
    owed: int

class struct_vcon_counters(Struct):
    control_in: int
    control_out: int
    control_ignored: int
    device_failed: int
    port_failed: int
    emergency: int

class struct_vcon_news(Struct):
    opened: int
    closed: int
    failed: int
    device_failed: bool

class struct_vcon_port_counters(Struct):
    tx_bytes: int
    rx_bytes: int
    tx_discarded: int
    tx_blocked: int
    rx_blocked: int

class struct_vcon_setup(Struct):
    mem: struct_gmem
    loop: struct_loop
    max_ports: int
    multiport: bool
    spec_order: bool

class struct_vcon_state(Struct):
    version: int
    ready: int
    cols: int
    rows: int
    flags: Array[int]
    tell: Array[int]
    owed: Array[int]
    tx_taken: Array[int]

class struct_vcpu(Struct):
    id: int
    run: struct_kvm_run
    first_entry_ns: int
    counters: struct_vcpu_counters
    trace: struct_trace
    hist: struct_hist

class struct_vcpu_counters(Struct):
    interrupted: int
    returns: int
    injected: int
    coalesced: int
    reason: Array[int]

class struct_vcpu_event(Struct):
    kind: int
    exit_reason: int
    code: int
    address: int
    value: int
    size: int

class struct_vcpu_failure(Struct):
    suberror: int
    ndata: int
    data: Array[int]
    entry_reason: int

class struct_vcpu_hypercall(Struct):
    number: int
    params: Array[int]
    longmode: int
    cpl: int

class struct_vfio_bitmap(Struct):
    pgsize: int
    size: int

class struct_vfio_device_attach_iommufd_pt(Struct):
    argsz: int
    flags: int
    pt_id: int

class struct_vfio_device_bind_iommufd(Struct):
    argsz: int
    flags: int
    iommufd: int
    out_devid: int

class struct_vfio_device_detach_iommufd_pt(Struct):
    argsz: int
    flags: int

class struct_vfio_device_feature(Struct):
    argsz: int
    flags: int
    data: Array[int]

class struct_vfio_device_feature_bus_master(Struct):
    op: int

class struct_vfio_device_feature_dma_logging_control(Struct):
    page_size: int
    num_ranges: int
    ranges: int

class struct_vfio_device_feature_dma_logging_range(Struct):
    iova: int
    length: int

class struct_vfio_device_feature_dma_logging_report(Struct):
    iova: int
    length: int
    page_size: int
    bitmap: int

class struct_vfio_device_feature_mig_data_size(Struct):
    stop_copy_length: int

class struct_vfio_device_feature_mig_state(Struct):
    device_state: int
    data_fd: int

class struct_vfio_device_feature_migration(Struct):
    flags: int

class struct_vfio_device_gfx_plane_info(Struct):
    argsz: int
    flags: int
    drm_plane_type: int
    drm_format: int
    drm_format_mod: int
    width: int
    height: int
    stride: int
    size: int
    x_pos: int
    y_pos: int
    x_hot: int
    y_hot: int
    region_index: int
    dmabuf_id: int

class struct_vfio_device_info(Struct):
    argsz: int
    flags: int
    num_regions: int
    num_irqs: int
    cap_offset: int

class struct_vfio_device_info_cap_pci_atomic_comp(Struct):
    header: struct_vfio_info_cap_header
    flags: int

class struct_vfio_device_ioeventfd(Struct):
    argsz: int
    flags: int
    offset: int
    data: int
    fd: int

class struct_vfio_group_status(Struct):
    argsz: int
    flags: int

class struct_vfio_info_cap_header(Struct):
    id: int
    version: int
    next: int

class struct_vfio_iommu_type1_dirty_bitmap(Struct):
    argsz: int
    flags: int
    data: Array[int]

class struct_vfio_iommu_type1_dirty_bitmap_get(Struct):
    iova: int
    size: int
    bitmap: struct_vfio_bitmap

class struct_vfio_iommu_type1_dma_map(Struct):
    argsz: int
    flags: int
    vaddr: int
    iova: int
    size: int

class struct_vfio_iommu_type1_dma_unmap(Struct):
    argsz: int
    flags: int
    iova: int
    size: int
    data: Array[int]

class struct_vfio_iommu_type1_info(Struct):
    argsz: int
    flags: int
    iova_pgsizes: int
    cap_offset: int

class struct_vfio_iommu_type1_info_cap_iova_range(Struct):
    header: struct_vfio_info_cap_header
    nr_iovas: int
    iova_ranges: Array[struct_vfio_iova_range]

class struct_vfio_iommu_type1_info_cap_migration(Struct):
    header: struct_vfio_info_cap_header
    flags: int
    pgsize_bitmap: int
    max_dirty_bitmap_size: int

class struct_vfio_iommu_type1_info_dma_avail(Struct):
    header: struct_vfio_info_cap_header
    avail: int

class struct_vfio_iova_range(Struct):
    start: int
    end: int

class struct_vfio_irq_info(Struct):
    argsz: int
    flags: int
    index: int
    count: int

class struct_vfio_irq_set(Struct):
    argsz: int
    flags: int
    index: int
    start: int
    count: int
    data: Array[int]

class struct_vfio_pci_dependent_device(Struct):
    group_id: int
    devid: int
    segment: int
    bus: int
    devfn: int

class struct_vfio_pci_hot_reset(Struct):
    argsz: int
    flags: int
    count: int
    group_fds: Array[int]

class struct_vfio_pci_hot_reset_info(Struct):
    argsz: int
    flags: int
    count: int
    devices: Array[struct_vfio_pci_dependent_device]

class struct_vfio_precopy_info(Struct):
    argsz: int
    flags: int
    initial_bytes: int
    dirty_bytes: int

class struct_vfio_region_gfx_edid(Struct):
    edid_offset: int
    edid_max_size: int
    edid_size: int
    max_xres: int
    max_yres: int
    link_state: int

class struct_vfio_region_info(Struct):
    argsz: int
    flags: int
    index: int
    cap_offset: int
    size: int
    offset: int

class struct_vfio_region_info_cap_sparse_mmap(Struct):
    header: struct_vfio_info_cap_header
    nr_areas: int
    areas: Array[struct_vfio_region_sparse_mmap_area]

class struct_vfio_region_info_cap_type(Struct):
    header: struct_vfio_info_cap_header
    type: int
    subtype: int

class struct_vfio_region_sparse_mmap_area(Struct):
    offset: int
    size: int

class struct_vfiopci(Struct):
    dev: struct_dev

class struct_vfiopci_counts(Struct):
    reads: int
    writes: int
    config_reads: int
    config_writes: int
    connects: int
    failures: int

class struct_vhost_iotlb_msg(Struct):
    iova: int
    size: int
    uaddr: int
    perm: int
    type: int

class struct_vhost_memory(Struct):
    nregions: int
    regions: Array[struct_vhost_memory_region]

class struct_vhost_memory_region(Struct):
    guest_phys_addr: int
    memory_size: int
    userspace_addr: int

class struct_vhost_msg_v2(Struct):
    type: int
    asid: int
    iotlb: struct_vhost_iotlb_msg

class struct_vhost_vring_addr(Struct):
    index: int
    flags: int
    desc_user_addr: int
    used_user_addr: int
    avail_user_addr: int
    log_guest_addr: int

class struct_vhost_vring_file(Struct):
    index: int
    fd: int

class struct_vhost_vring_state(Struct):
    index: int
    num: int

class struct_vhost_vring_worker(Struct):
    index: int
    worker_id: int

class struct_vhost_worker_state(Struct):
    worker_id: int

class struct_virtio_api(Struct):
    pass

class struct_virtio_counters(Struct):
    starts: int
    resets: int
    faults: int
    refused: int
    ignored: int
    config_interrupts: int
    kicks: int
    interrupts: int

class struct_virtio_dev(Struct):
    dev: struct_dev
    device_id: int
    queue_count: int
    queue: struct_virtio_queue
    offered: int
    required: int
    acked: int
    status: int
    config_len: int
    config: Array[int]
    config_wmask: Array[int]

class struct_virtio_pci(Struct):
    ports: struct_dev

class struct_virtio_pci_setup(Struct):
    d: struct_virtio_dev
    func: struct_pci_func
    msix: struct_msix
    window_bar: int
    notify_bar: int
    legacy: bool

class struct_virtio_pci_state(Struct):
    version: int
    feature_word: int
    accept_word: int
    queue_select: int
    config_vector: int
    isr: int
    queue_vector: Array[int]

class struct_virtio_py(Struct):
    vdev: struct_virtio_dev
    event_fd: int

class struct_virtio_py_notes(Struct):
    start: int
    config: int
    kick: Array[int]
    queue_stop: Array[int]
    quiesce: int
    stop: int

class struct_virtio_py_setup(Struct):
    device_id: int
    features: int
    queue_count: int
    queue_size: Array[int]
    config_len: int
    mem: struct_gmem
    loop: struct_loop

class struct_virtio_queue(Struct):
    kick_fd: int
    vq: struct_vq
    max_size: int

class struct_virtio_rng(Struct):
    vdev: struct_virtio_dev

class struct_virtio_rng_counters(Struct):
    bytes: int
    waits: int

class struct_virtio_rng_setup(Struct):
    mem: struct_gmem
    loop: struct_loop
    clock: struct_vclock
    source: int
    max_bytes: int
    period_ns: int

class struct_virtio_rng_state(Struct):
    version: int
    quota: int
    period_end: int

class struct_virtio_state(Struct):
    version: int
    queue_count: int
    config_len: int
    acked: int
    status: int
    generation: int
    running: int
    config: Array[int]
    enabled: Array[int]
    size: Array[int]
    last_avail: Array[int]
    used_idx: Array[int]
    desc: Array[int]
    avail: Array[int]
    used: Array[int]

class struct_vmcore(Struct):
    wait: struct_kvmwait
    coalesced: int
    coalesced_hist: struct_hist

class struct_vnet(Struct):
    vdev: struct_virtio_dev

class struct_vnet_counters(Struct):
    all: struct_vnet_pair_counters
    control: int
    control_refused: int
    lost: int
    vhost_rings: int

class struct_vnet_pair_counters(Struct):
    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    rx_dropped: int
    rx_waits: int
    tx_dropped: int
    tx_bad_header: int
    tx_waits: int

class struct_vnet_setup(Struct):
    mem: struct_gmem
    loop: struct_loop
    pairs: int
    fd: Array[int]
    vhost_fd: Array[int]
    tap: bool
    offloads: int
    allowed: int
    vhost_features: int
    mac: Array[int]
    mtu: int

class struct_vnet_state(Struct):
    version: int
    active: int
    offloads: int

class struct_vq(Struct):
    broken: int

class struct_vq_chain(Struct):
    head: int
    out_count: int
    in_count: int
    out_len: int
    in_len: int
    piece: struct_iovec
    cap: int

class struct_vq_config(Struct):
    desc: int
    avail: int
    used: int
    size: int
    last_avail: int
    used_idx: int
    event_idx: bool
    indirect: bool

class struct_vq_counts(Struct):
    chains: int
    bytes: int
    interrupts: int

class struct_xblk(Struct):
    pass

class struct_xblk_counters(Struct):
    requests: int
    segments: int
    indirect: int
    rejected: int
    unsupported: int
    failed: int
    broken: int
    kicks: int
    calls: int

class struct_xblk_link(Struct):
    refs: Array[int]
    pages: int
    kick: int
    call: int
    narrow: bool

class struct_xblk_setup(Struct):
    grants: struct_gnttab
    loop: struct_loop
    blk: struct_blk
    sectors: int
    read_only: bool
    queues: int

class struct_xencon(Struct):
    pass

class struct_xencon_counters(Struct):
    tx_bytes: int
    rx_bytes: int
    kicks: int
    calls: int
    tx_blocked: int
    broken: int

class struct_xenpirq(Struct):
    events: int
    eois: int

class struct_xenus(Struct):
    dev: struct_dev

class struct_xenus_counters(Struct):
    send: int
    unmask: int
    poll: int
    yields: int
    set_timer: int
    stop_timer: int
    upcalls: int
    late: int
    asserted: int
    debug: int

class struct_xenus_runstate(Struct):
    now: int
    times: Array[int]

class struct_xenus_seen(Struct):
    began: int
    took: int
    number: int
    params: Array[int]
    result: int
    behind_length: int
    behind: Array[int]

class struct_xnet(Struct):
    pass

class struct_xnet_counters(Struct):
    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    rx_gso: int
    tx_gso: int
    rx_summed: int
    rx_dropped: int
    rx_waits: int
    tx_waits: int
    tx_dropped: int
    refused: int
    broken: int
    kicks: int
    calls: int
    lost: int

class struct_xnet_link(Struct):
    tx_ref: int
    rx_ref: int
    tx_kick: int
    tx_call: int
    rx_kick: int
    rx_call: int

class struct_xnet_setup(Struct):
    grants: struct_gnttab
    loop: struct_loop
    queues: int
    fd: Array[int]
    tap: bool

class struct_xsring(Struct):
    pass

class struct_xsring_counters(Struct):
    requests: int
    sent: int
    kicks: int
    restarts: int
    broken: int

class Lib:
    ACPIREGS_GED: int
    ACPIREGS_GPE0: int
    ACPIREGS_PM1_CONTROL: int
    ACPIREGS_PM1_EVENT: int
    ACPIREGS_SLEEP: int
    ACPIREGS_SLP_TYP_S5: int
    BLKALIGNOFF: int
    BLKIOMIN: int
    BLKIOOPT: int
    BLKPBSZGET: int
    BLKSSZGET: int
    BLK_SECTOR: int
    BLK_THREADS: int
    BLK_URING: int
    CHAN_BLOCK: int
    CHAN_DROP: int
    CHAN_FLUSH_NS: int
    CHAN_LIMIT_DEFAULT: int
    CHAN_LIMIT_MAX: int
    CHAN_LIMIT_MIN: int
    CHAN_ROOM: int
    CHAN_TAIL: int
    DEBUGCON_STATE_VERSION: int
    DEV_EVENT_CRASH_LOADED: int
    DEV_EVENT_DEBUG_EXIT: int
    DEV_EVENT_EJECT: int
    DEV_EVENT_MARK: int
    DEV_EVENT_PANIC: int
    DEV_EVENT_POWER_OFF: int
    DEV_EVENT_REMAP: int
    DEV_EVENT_RESET: int
    DEV_EVENT_SLEEP: int
    DEV_EVENT_UNPLUG: int
    EFD_CLOEXEC: int
    EFD_NONBLOCK: int
    EPOLLET: int
    EPOLLIN: int
    EPOLLONESHOT: int
    EPOLLOUT: int
    EVTCHN_MASK32: int
    EVTCHN_MASK64: int
    EVTCHN_PENDING: int
    EVTCHN_PORTS32: int
    EVTCHN_PORTS64: int
    FWCFG_CPUS: int
    FWCFG_DIRECTORY: int
    FWCFG_FILE_FIRST: int
    FWCFG_ID: int
    FWCFG_ITEMS: int
    FWCFG_ITEM_MAX: int
    FWCFG_MAX_CPUS: int
    FWCFG_NAME: int
    FWCFG_RAM_SIZE: int
    FWCFG_SIGNATURE: int
    GMEM_READ: int
    GMEM_READONLY: int
    GMEM_WRITE: int
    GNTTAB_FRAMES: int
    GNTTAB_NOWHERE: int
    GNTTAB_PAGE: int
    GNTTAB_PER_FRAME: int
    GNTTAB_REFS: int
    HIST_MMIO_READ: int
    HIST_MMIO_WRITE: int
    HIST_MSR_READ: int
    HIST_MSR_WRITE: int
    HIST_PIO_READ: int
    HIST_PIO_WRITE: int
    HIST_SLOTS: int
    HPET_BLOCK_ID: int
    HPET_BYTES: int
    HPET_MIN_IRQ_NS: int
    HPET_ROUTES: int
    HPET_TICK_NS: int
    I8042_COMMAND: int
    I8042_DATA: int
    IFF_ATTACH_QUEUE: int
    IFF_DETACH_QUEUE: int
    IFF_MULTI_QUEUE: int
    IFF_NO_PI: int
    IFF_TAP: int
    IFF_UP: int
    IFF_VNET_HDR: int
    IFNAMSIZ: int
    INTX_NO_PIC: int
    IOMMU_DESTROY: int
    IOMMU_GET_HW_INFO: int
    IOMMU_HWPT_ALLOC: int
    IOMMU_HWPT_ALLOC_DIRTY_TRACKING: int
    IOMMU_HWPT_ALLOC_NEST_PARENT: int
    IOMMU_HWPT_DIRTY_TRACKING_ENABLE: int
    IOMMU_HWPT_GET_DIRTY_BITMAP: int
    IOMMU_HWPT_SET_DIRTY_TRACKING: int
    IOMMU_HW_CAP_DIRTY_TRACKING: int
    IOMMU_IOAS_ALLOC: int
    IOMMU_IOAS_ALLOW_IOVAS: int
    IOMMU_IOAS_COPY: int
    IOMMU_IOAS_IOVA_RANGES: int
    IOMMU_IOAS_MAP: int
    IOMMU_IOAS_MAP_FIXED_IOVA: int
    IOMMU_IOAS_MAP_READABLE: int
    IOMMU_IOAS_MAP_WRITEABLE: int
    IOMMU_IOAS_UNMAP: int
    IOMMU_OPTION: int
    IOMMU_OPTION_HUGE_PAGES: int
    IOMMU_OPTION_OP_GET: int
    IOMMU_OPTION_OP_SET: int
    IOMMU_OPTION_RLIMIT_MODE: int
    IOMMU_VFIO_IOAS: int
    IOMMU_VFIO_IOAS_CLEAR: int
    IOMMU_VFIO_IOAS_GET: int
    IOMMU_VFIO_IOAS_SET: int
    IRQ_HUB_GSIS: int
    KVM_CAP_ADJUST_CLOCK: int
    KVM_CAP_BINARY_STATS_FD: int
    KVM_CAP_CHECK_EXTENSION_VM: int
    KVM_CAP_COALESCED_MMIO: int
    KVM_CAP_COALESCED_PIO: int
    KVM_CAP_DEBUGREGS: int
    KVM_CAP_DIRTY_LOG_RING: int
    KVM_CAP_ENABLE_CAP: int
    KVM_CAP_EXIT_ON_EMULATION_FAILURE: int
    KVM_CAP_EXT_CPUID: int
    KVM_CAP_GET_TSC_KHZ: int
    KVM_CAP_GUEST_DEBUG_HW_BPS: int
    KVM_CAP_HLT: int
    KVM_CAP_HYPERV_ENFORCE_CPUID: int
    KVM_CAP_IMMEDIATE_EXIT: int
    KVM_CAP_INTERNAL_ERROR_DATA: int
    KVM_CAP_IOEVENTFD: int
    KVM_CAP_IOEVENTFD_ANY_LENGTH: int
    KVM_CAP_IOEVENTFD_NO_LENGTH: int
    KVM_CAP_IRQCHIP: int
    KVM_CAP_IRQFD: int
    KVM_CAP_IRQFD_RESAMPLE: int
    KVM_CAP_IRQ_ROUTING: int
    KVM_CAP_KVMCLOCK_CTRL: int
    KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: int
    KVM_CAP_MAX_VCPUS: int
    KVM_CAP_MAX_VCPU_ID: int
    KVM_CAP_MCE: int
    KVM_CAP_MP_STATE: int
    KVM_CAP_MULTI_ADDRESS_SPACE: int
    KVM_CAP_NESTED_STATE: int
    KVM_CAP_NR_MEMSLOTS: int
    KVM_CAP_NR_VCPUS: int
    KVM_CAP_PIT2: int
    KVM_CAP_PMU_CAPABILITY: int
    KVM_CAP_READONLY_MEM: int
    KVM_CAP_SET_BOOT_CPU_ID: int
    KVM_CAP_SET_IDENTITY_MAP_ADDR: int
    KVM_CAP_SET_TSS_ADDR: int
    KVM_CAP_SIGNAL_MSI: int
    KVM_CAP_SPLIT_IRQCHIP: int
    KVM_CAP_SYNC_MMU: int
    KVM_CAP_SYNC_REGS: int
    KVM_CAP_SYS_HYPERV_CPUID: int
    KVM_CAP_TSC_CONTROL: int
    KVM_CAP_TSC_DEADLINE_TIMER: int
    KVM_CAP_USER_MEMORY: int
    KVM_CAP_VCPU_EVENTS: int
    KVM_CAP_VM_TSC_CONTROL: int
    KVM_CAP_X2APIC_API: int
    KVM_CAP_X86_DISABLE_EXITS: int
    KVM_CAP_X86_MSR_FILTER: int
    KVM_CAP_X86_SMM: int
    KVM_CAP_X86_USER_SPACE_MSR: int
    KVM_CAP_XCRS: int
    KVM_CAP_XEN_HVM: int
    KVM_CAP_XSAVE: int
    KVM_CAP_XSAVE2: int
    KVM_CHECK_EXTENSION: int
    KVM_CLOCK_HOST_TSC: int
    KVM_CLOCK_REALTIME: int
    KVM_CLOCK_TSC_STABLE: int
    KVM_CPUID_FLAG_SIGNIFCANT_INDEX: int
    KVM_CREATE_DEVICE: int
    KVM_CREATE_IRQCHIP: int
    KVM_CREATE_PIT2: int
    KVM_CREATE_VCPU: int
    KVM_CREATE_VM: int
    KVM_DEV_TYPE_VFIO: int
    KVM_DEV_VFIO_GROUP: int
    KVM_DEV_VFIO_GROUP_ADD: int
    KVM_DEV_VFIO_GROUP_DEL: int
    KVM_ENABLE_CAP: int
    KVM_EXIT_AP_RESET_HOLD: int
    KVM_EXIT_DEBUG: int
    KVM_EXIT_DIRTY_RING_FULL: int
    KVM_EXIT_EXCEPTION: int
    KVM_EXIT_FAIL_ENTRY: int
    KVM_EXIT_HLT: int
    KVM_EXIT_HYPERCALL: int
    KVM_EXIT_HYPERV: int
    KVM_EXIT_INTERNAL_ERROR: int
    KVM_EXIT_INTR: int
    KVM_EXIT_IO: int
    KVM_EXIT_IOAPIC_EOI: int
    KVM_EXIT_IRQ_WINDOW_OPEN: int
    KVM_EXIT_MEMORY_FAULT: int
    KVM_EXIT_MMIO: int
    KVM_EXIT_NMI: int
    KVM_EXIT_NOTIFY: int
    KVM_EXIT_SET_TPR: int
    KVM_EXIT_SHUTDOWN: int
    KVM_EXIT_SYSTEM_EVENT: int
    KVM_EXIT_TPR_ACCESS: int
    KVM_EXIT_UNKNOWN: int
    KVM_EXIT_X86_BUS_LOCK: int
    KVM_EXIT_X86_RDMSR: int
    KVM_EXIT_X86_WRMSR: int
    KVM_EXIT_XEN: int
    KVM_EXIT_XEN_HCALL: int
    KVM_GET_API_VERSION: int
    KVM_GET_CLOCK: int
    KVM_GET_CPUID2: int
    KVM_GET_DEBUGREGS: int
    KVM_GET_DEVICE_ATTR: int
    KVM_GET_DIRTY_LOG: int
    KVM_GET_IRQCHIP: int
    KVM_GET_LAPIC: int
    KVM_GET_MP_STATE: int
    KVM_GET_MSRS: int
    KVM_GET_MSR_INDEX_LIST: int
    KVM_GET_PIT2: int
    KVM_GET_REGS: int
    KVM_GET_SREGS: int
    KVM_GET_STATS_FD: int
    KVM_GET_SUPPORTED_CPUID: int
    KVM_GET_SUPPORTED_HV_CPUID: int
    KVM_GET_TSC_KHZ: int
    KVM_GET_VCPU_EVENTS: int
    KVM_GET_VCPU_MMAP_SIZE: int
    KVM_GET_XCRS: int
    KVM_GET_XSAVE: int
    KVM_GET_XSAVE2: int
    KVM_HAS_DEVICE_ATTR: int
    KVM_INTERNAL_ERROR_DELIVERY_EV: int
    KVM_INTERNAL_ERROR_EMULATION: int
    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES: int
    KVM_INTERNAL_ERROR_SIMUL_EX: int
    KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON: int
    KVM_INTERRUPT: int
    KVM_IOEVENTFD: int
    KVM_IOEVENTFD_FLAG_DATAMATCH: int
    KVM_IOEVENTFD_FLAG_DEASSIGN: int
    KVM_IOEVENTFD_FLAG_PIO: int
    KVM_IRQCHIP_IOAPIC: int
    KVM_IRQCHIP_PIC_MASTER: int
    KVM_IRQCHIP_PIC_SLAVE: int
    KVM_IRQFD: int
    KVM_IRQFD_FLAG_DEASSIGN: int
    KVM_IRQFD_FLAG_RESAMPLE: int
    KVM_IRQ_LINE: int
    KVM_IRQ_ROUTING_IRQCHIP: int
    KVM_IRQ_ROUTING_MSI: int
    KVM_IRQ_ROUTING_XEN_EVTCHN: int
    KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL: int
    KVM_KVMCLOCK_CTRL: int
    KVM_MEM_LOG_DIRTY_PAGES: int
    KVM_MEM_READONLY: int
    KVM_MP_STATE_HALTED: int
    KVM_MP_STATE_INIT_RECEIVED: int
    KVM_MP_STATE_RUNNABLE: int
    KVM_MP_STATE_SIPI_RECEIVED: int
    KVM_MP_STATE_UNINITIALIZED: int
    KVM_MSR_EXIT_REASON_FILTER: int
    KVM_MSR_FILTER_DEFAULT_ALLOW: int
    KVM_MSR_FILTER_WRITE: int
    KVM_NMI: int
    KVM_PIT_SPEAKER_DUMMY: int
    KVM_REGISTER_COALESCED_MMIO: int
    KVM_RUN: int
    KVM_SET_BOOT_CPU_ID: int
    KVM_SET_CLOCK: int
    KVM_SET_CPUID2: int
    KVM_SET_DEBUGREGS: int
    KVM_SET_DEVICE_ATTR: int
    KVM_SET_GSI_ROUTING: int
    KVM_SET_IDENTITY_MAP_ADDR: int
    KVM_SET_IRQCHIP: int
    KVM_SET_LAPIC: int
    KVM_SET_MP_STATE: int
    KVM_SET_MSRS: int
    KVM_SET_PIT2: int
    KVM_SET_REGS: int
    KVM_SET_SREGS: int
    KVM_SET_TSC_KHZ: int
    KVM_SET_TSS_ADDR: int
    KVM_SET_USER_MEMORY_REGION: int
    KVM_SET_VCPU_EVENTS: int
    KVM_SET_XCRS: int
    KVM_SET_XSAVE: int
    KVM_SIGNAL_MSI: int
    KVM_STATS_TYPE_CUMULATIVE: int
    KVM_STATS_TYPE_INSTANT: int
    KVM_STATS_TYPE_MASK: int
    KVM_STATS_TYPE_PEAK: int
    KVM_TRANSLATE: int
    KVM_UNREGISTER_COALESCED_MMIO: int
    KVM_VCPUEVENT_VALID_NMI_PENDING: int
    KVM_VCPUEVENT_VALID_SHADOW: int
    KVM_VCPUEVENT_VALID_SIPI_VECTOR: int
    KVM_VCPUEVENT_VALID_SMM: int
    KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK: int
    KVM_X2APIC_API_USE_32BIT_IDS: int
    KVM_X86_GET_MCE_CAP_SUPPORTED: int
    KVM_X86_SETUP_MCE: int
    KVM_X86_SET_MSR_FILTER: int
    KVM_XEN_ATTR_TYPE_EVTCHN: int
    KVM_XEN_ATTR_TYPE_LONG_MODE: int
    KVM_XEN_ATTR_TYPE_RUNSTATE_UPDATE_FLAG: int
    KVM_XEN_ATTR_TYPE_SHARED_INFO: int
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA: int
    KVM_XEN_ATTR_TYPE_UPCALL_VECTOR: int
    KVM_XEN_ATTR_TYPE_XEN_VERSION: int
    KVM_XEN_EVTCHN_DEASSIGN: int
    KVM_XEN_EVTCHN_RESET: int
    KVM_XEN_EVTCHN_UPDATE: int
    KVM_XEN_HVM_CONFIG: int
    KVM_XEN_HVM_CONFIG_EVTCHN_2LEVEL: int
    KVM_XEN_HVM_CONFIG_EVTCHN_SEND: int
    KVM_XEN_HVM_CONFIG_HYPERCALL_MSR: int
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL: int
    KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE: int
    KVM_XEN_HVM_CONFIG_RUNSTATE: int
    KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG: int
    KVM_XEN_HVM_CONFIG_SHARED_INFO: int
    KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA: int
    KVM_XEN_HVM_EVTCHN_SEND: int
    KVM_XEN_HVM_GET_ATTR: int
    KVM_XEN_HVM_SET_ATTR: int
    KVM_XEN_INVALID_GFN: int
    KVM_XEN_INVALID_GPA: int
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR: int
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST: int
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT: int
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA: int
    KVM_XEN_VCPU_ATTR_TYPE_TIMER: int
    KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR: int
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_ID: int
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO: int
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA: int
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO: int
    KVM_XEN_VCPU_GET_ATTR: int
    KVM_XEN_VCPU_SET_ATTR: int
    LOOP_CALL: int
    LOOP_ESCAPE: int
    LOOP_PANIC_LINE: int
    LOOP_PEER_JOINED: int
    LOOP_PEER_LOST: int
    LOOP_STOPPED: int
    LOOP_USER: int
    LOOP_WAKE: int
    MADV_HUGEPAGE: int
    MADV_NOHUGEPAGE: int
    MADV_POPULATE_WRITE: int
    MADV_REMOVE: int
    MSIX_MAX_VECTORS: int
    MSIX_PBA: int
    MSIX_TABLE: int
    PCIHP_SIZE: int
    PCITEST_DATAMATCH: int
    PCITEST_MATCH: int
    PCITEST_MEMORY: int
    PCITEST_MEMORY_SIZE: int
    PCITEST_PORTS: int
    PCITEST_PORTS_SIZE: int
    PCITEST_WILDCARD: int
    PCI_BARS: int
    PCI_BAR_EXPANSION: int
    PCI_BAR_IO: int
    PCI_BAR_MEM32: int
    PCI_BAR_MEM64: int
    PCI_BAR_NONE: int
    PCI_CONFIG_SIZE: int
    PCI_ECAM: int
    PCI_PORTS: int
    PCI_ROM: int
    PCI_UNMAPPED: int
    PIC_ELCR: int
    PIC_MASTER: int
    PIC_SLAVE: int
    PIT_COUNTERS: int
    PIT_HZ: int
    PIT_MIN_IRQ_NS: int
    PIT_PORT61: int
    PM1_GBL: int
    PM1_PWRBTN: int
    PM1_RTC: int
    PM1_SLPBTN: int
    PM1_TMR: int
    PM1_WAK_STS: int
    POSTCODE_MARKS: int
    PVPANIC_CRASH_LOADED: int
    PVPANIC_PANICKED: int
    RAM_HUGE_PAGE: int
    RESETPORT_92: int
    RESETPORT_CF9: int
    ROUTER_MAX_GSI: int
    ROUTER_MAX_ROUTES: int
    ROUTER_PIRQS: int
    SIOCGIFFLAGS: int
    SIOCGIFMTU: int
    SIOCSIFFLAGS: int
    TESTDEV_BYTES: int
    TESTDEV_GSI: int
    TESTDEV_GSIS: int
    TESTDEV_LATCH: int
    TESTDEV_MMIO: int
    TESTDEV_MMIO_BYTES: int
    TESTDEV_REMAP: int
    TRACE_COALESCED: int
    TRACE_RECORDS: int
    TRACE_WRITE: int
    TUNGETIFF: int
    TUNSETIFF: int
    TUNSETOFFLOAD: int
    TUNSETQUEUE: int
    TUNSETVNETHDRSZ: int
    TUN_F_CSUM: int
    TUN_F_TSO4: int
    TUN_F_TSO6: int
    TUN_F_TSO_ECN: int
    TUN_F_UFO: int
    UART_PORTS: int
    UART_STATE_VERSION: int
    UART_TIMEOUT_NS: int
    VBLK_EVENT_ERROR: int
    VBLK_MAX_DISCARD_SECTORS: int
    VBLK_MAX_QUEUES: int
    VBLK_QUEUE_SIZE: int
    VCON_ANNOUNCED: int
    VCON_CLOSED_MEANWHILE: int
    VCON_CONSOLE: int
    VCON_CONTROL_SIZE: int
    VCON_DEVICE_FAILED: int
    VCON_DEVICE_READY: int
    VCON_EVENT_NEWS: int
    VCON_EXISTS: int
    VCON_FAILED: int
    VCON_GUEST_CLOSED: int
    VCON_GUEST_OPEN: int
    VCON_GUEST_OPENED: int
    VCON_HOST_OPEN: int
    VCON_IGNORED: int
    VCON_MAX_PORTS: int
    VCON_MESSAGE_MAX: int
    VCON_NAME_MAX: int
    VCON_NOTHING_NEW: int
    VCON_PORT_FAILED: int
    VCON_PORT_READY: int
    VCON_QUEUE_SIZE: int
    VCON_READY: int
    VCON_STATE_VERSION: int
    VCON_TOLD_OPEN: int
    VCPU_DEBUG: int
    VCPU_DEVICE: int
    VCPU_FAIL_ENTRY: int
    VCPU_HLT: int
    VCPU_INJECT_FAILED: int
    VCPU_INTERNAL_ERROR: int
    VCPU_KICKED: int
    VCPU_MSR: int
    VCPU_REASONS: int
    VCPU_REQUEST_COMMANDS: int
    VCPU_REQUEST_INTERRUPT: int
    VCPU_RUN_FAILED: int
    VCPU_SHUTDOWN: int
    VCPU_SYSTEM_EVENT: int
    VCPU_UNKNOWN: int
    VCPU_UPCALL_FAILED: int
    VCPU_WOKEN: int
    VCPU_XEN: int
    VFIOPCI_INTX: int
    VFIOPCI_MSI: int
    VFIOPCI_MSIX: int
    VFIOPCI_SILENT: int
    VFIO_API_VERSION: int
    VFIO_CHECK_EXTENSION: int
    VFIO_DEVICE_ATTACH_IOMMUFD_PT: int
    VFIO_DEVICE_BIND_IOMMUFD: int
    VFIO_DEVICE_DETACH_IOMMUFD_PT: int
    VFIO_DEVICE_FEATURE: int
    VFIO_DEVICE_FEATURE_BUS_MASTER: int
    VFIO_DEVICE_FEATURE_CLEAR_MASTER: int
    VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: int
    VFIO_DEVICE_FEATURE_DMA_LOGGING_START: int
    VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP: int
    VFIO_DEVICE_FEATURE_GET: int
    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY: int
    VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP: int
    VFIO_DEVICE_FEATURE_LOW_POWER_EXIT: int
    VFIO_DEVICE_FEATURE_MASK: int
    VFIO_DEVICE_FEATURE_MIGRATION: int
    VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: int
    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE: int
    VFIO_DEVICE_FEATURE_PCI_VF_TOKEN: int
    VFIO_DEVICE_FEATURE_PROBE: int
    VFIO_DEVICE_FEATURE_SET: int
    VFIO_DEVICE_FEATURE_SET_MASTER: int
    VFIO_DEVICE_FLAGS_CAPS: int
    VFIO_DEVICE_FLAGS_PCI: int
    VFIO_DEVICE_FLAGS_RESET: int
    VFIO_DEVICE_GET_GFX_DMABUF: int
    VFIO_DEVICE_GET_INFO: int
    VFIO_DEVICE_GET_IRQ_INFO: int
    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: int
    VFIO_DEVICE_GET_REGION_INFO: int
    VFIO_DEVICE_GFX_LINK_STATE_DOWN: int
    VFIO_DEVICE_GFX_LINK_STATE_UP: int
    VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP: int
    VFIO_DEVICE_IOEVENTFD: int
    VFIO_DEVICE_PCI_HOT_RESET: int
    VFIO_DEVICE_QUERY_GFX_PLANE: int
    VFIO_DEVICE_RESET: int
    VFIO_DEVICE_SET_IRQS: int
    VFIO_DEVICE_STATE_ERROR: int
    VFIO_DEVICE_STATE_PRE_COPY: int
    VFIO_DEVICE_STATE_PRE_COPY_P2P: int
    VFIO_DEVICE_STATE_RESUMING: int
    VFIO_DEVICE_STATE_RUNNING: int
    VFIO_DEVICE_STATE_RUNNING_P2P: int
    VFIO_DEVICE_STATE_STOP: int
    VFIO_DEVICE_STATE_STOP_COPY: int
    VFIO_DMA_MAP_FLAG_READ: int
    VFIO_DMA_MAP_FLAG_WRITE: int
    VFIO_DMA_UNMAP_FLAG_ALL: int
    VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP: int
    VFIO_GET_API_VERSION: int
    VFIO_GFX_PLANE_TYPE_DMABUF: int
    VFIO_GFX_PLANE_TYPE_PROBE: int
    VFIO_GFX_PLANE_TYPE_REGION: int
    VFIO_GROUP_FLAGS_CONTAINER_SET: int
    VFIO_GROUP_FLAGS_VIABLE: int
    VFIO_GROUP_GET_DEVICE_FD: int
    VFIO_GROUP_GET_STATUS: int
    VFIO_GROUP_SET_CONTAINER: int
    VFIO_GROUP_UNSET_CONTAINER: int
    VFIO_IOMMU_DIRTY_PAGES: int
    VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP: int
    VFIO_IOMMU_DIRTY_PAGES_FLAG_START: int
    VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP: int
    VFIO_IOMMU_GET_INFO: int
    VFIO_IOMMU_INFO_CAPS: int
    VFIO_IOMMU_INFO_PGSIZES: int
    VFIO_IOMMU_MAP_DMA: int
    VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE: int
    VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION: int
    VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL: int
    VFIO_IOMMU_UNMAP_DMA: int
    VFIO_IRQ_INFO_AUTOMASKED: int
    VFIO_IRQ_INFO_EVENTFD: int
    VFIO_IRQ_INFO_MASKABLE: int
    VFIO_IRQ_INFO_NORESIZE: int
    VFIO_IRQ_SET_ACTION_MASK: int
    VFIO_IRQ_SET_ACTION_TRIGGER: int
    VFIO_IRQ_SET_ACTION_UNMASK: int
    VFIO_IRQ_SET_DATA_BOOL: int
    VFIO_IRQ_SET_DATA_EVENTFD: int
    VFIO_IRQ_SET_DATA_NONE: int
    VFIO_MIGRATION_P2P: int
    VFIO_MIGRATION_PRE_COPY: int
    VFIO_MIGRATION_STOP_COPY: int
    VFIO_MIG_GET_PRECOPY_INFO: int
    VFIO_NOIOMMU_IOMMU: int
    VFIO_PCI_ATOMIC_COMP128: int
    VFIO_PCI_ATOMIC_COMP32: int
    VFIO_PCI_ATOMIC_COMP64: int
    VFIO_PCI_BAR0_REGION_INDEX: int
    VFIO_PCI_BAR5_REGION_INDEX: int
    VFIO_PCI_CONFIG_REGION_INDEX: int
    VFIO_PCI_DEVID_NOT_OWNED: int
    VFIO_PCI_DEVID_OWNED: int
    VFIO_PCI_ERR_IRQ_INDEX: int
    VFIO_PCI_HOT_RESET_FLAG_DEV_ID: int
    VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED: int
    VFIO_PCI_INTX_IRQ_INDEX: int
    VFIO_PCI_MSIX_IRQ_INDEX: int
    VFIO_PCI_MSI_IRQ_INDEX: int
    VFIO_PCI_NUM_IRQS: int
    VFIO_PCI_NUM_REGIONS: int
    VFIO_PCI_REQ_IRQ_INDEX: int
    VFIO_PCI_ROM_REGION_INDEX: int
    VFIO_PCI_VGA_REGION_INDEX: int
    VFIO_REGION_INFO_CAP_MSIX_MAPPABLE: int
    VFIO_REGION_INFO_CAP_SPARSE_MMAP: int
    VFIO_REGION_INFO_CAP_TYPE: int
    VFIO_REGION_INFO_FLAG_CAPS: int
    VFIO_REGION_INFO_FLAG_MMAP: int
    VFIO_REGION_INFO_FLAG_READ: int
    VFIO_REGION_INFO_FLAG_WRITE: int
    VFIO_REGION_SUBTYPE_GFX_EDID: int
    VFIO_REGION_SUBTYPE_INTEL_IGD_HOST_CFG: int
    VFIO_REGION_SUBTYPE_INTEL_IGD_LPC_CFG: int
    VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION: int
    VFIO_REGION_TYPE_GFX: int
    VFIO_REGION_TYPE_PCI_VENDOR_MASK: int
    VFIO_REGION_TYPE_PCI_VENDOR_TYPE: int
    VFIO_SET_IOMMU: int
    VFIO_TYPE1_IOMMU: int
    VFIO_TYPE1v2_IOMMU: int
    VFIO_UNMAP_ALL: int
    VFIO_UPDATE_VADDR: int
    VHOST_ACCESS_RO: int
    VHOST_ACCESS_RW: int
    VHOST_ACCESS_WO: int
    VHOST_ATTACH_VRING_WORKER: int
    VHOST_BACKEND_F_IOTLB_BATCH: int
    VHOST_BACKEND_F_IOTLB_MSG_V2: int
    VHOST_FILE_UNBIND: int
    VHOST_FREE_WORKER: int
    VHOST_F_LOG_ALL: int
    VHOST_GET_BACKEND_FEATURES: int
    VHOST_GET_FEATURES: int
    VHOST_GET_VRING_BASE: int
    VHOST_IOTLB_ACCESS_FAIL: int
    VHOST_IOTLB_INVALIDATE: int
    VHOST_IOTLB_MISS: int
    VHOST_IOTLB_MSG_V2: int
    VHOST_IOTLB_UPDATE: int
    VHOST_NET_F_VIRTIO_NET_HDR: int
    VHOST_NET_SET_BACKEND: int
    VHOST_NEW_WORKER: int
    VHOST_RESET_OWNER: int
    VHOST_SET_BACKEND_FEATURES: int
    VHOST_SET_FEATURES: int
    VHOST_SET_LOG_BASE: int
    VHOST_SET_LOG_FD: int
    VHOST_SET_MEM_TABLE: int
    VHOST_SET_OWNER: int
    VHOST_SET_VRING_ADDR: int
    VHOST_SET_VRING_BASE: int
    VHOST_SET_VRING_BUSYLOOP_TIMEOUT: int
    VHOST_SET_VRING_CALL: int
    VHOST_SET_VRING_ERR: int
    VHOST_SET_VRING_KICK: int
    VHOST_SET_VRING_NUM: int
    VHOST_VRING_F_LOG: int
    VHOST_VSOCK_SET_GUEST_CID: int
    VHOST_VSOCK_SET_RUNNING: int
    VIRTIO_BLK_ID_BYTES: int
    VIRTIO_CONFIG_MAX: int
    VIRTIO_CONSOLE_F_EMERG_WRITE: int
    VIRTIO_CONSOLE_F_MULTIPORT: int
    VIRTIO_CONSOLE_F_SIZE: int
    VIRTIO_EVENT_FAILED: int
    VIRTIO_EVENT_LAST: int
    VIRTIO_EVENT_NEEDS_RESET: int
    VIRTIO_EVENT_REFUSED: int
    VIRTIO_FAULT_ADDRESS: int
    VIRTIO_FAULT_HOST: int
    VIRTIO_FAULT_REQUEST: int
    VIRTIO_FAULT_RING: int
    VIRTIO_F_ACCESS_PLATFORM: int
    VIRTIO_F_RING_RESET: int
    VIRTIO_F_VERSION_1: int
    VIRTIO_ID_RNG: int
    VIRTIO_MAX_QUEUES: int
    VIRTIO_NET_F_MRG_RXBUF: int
    VIRTIO_PCI_COMMON_REGION: int
    VIRTIO_PCI_DEVICE_REGION: int
    VIRTIO_PCI_ISR_REGION: int
    VIRTIO_PCI_LEGACY_NOTIFY: int
    VIRTIO_PCI_LEGACY_PORTS: int
    VIRTIO_PCI_NOTIFY_REGION: int
    VIRTIO_PCI_NOTIFY_STEP: int
    VIRTIO_PCI_PART: int
    VIRTIO_RING_F_EVENT_IDX: int
    VIRTIO_RING_F_INDIRECT_DESC: int
    VIRTIO_STATE_VERSION: int
    VNET_HEADER: int
    VNET_MAX_PAIRS: int
    VNET_QUEUE_SIZE: int
    VQ_MAX_SIZE: int
    XBLK_EVENT: int
    XBLK_IDLE: int
    XBLK_INDIRECT: int
    XBLK_MAX_QUEUES: int
    XBLK_REQUESTS: int
    XBLK_RING_ORDER: int
    XBLK_RING_PAGES: int
    XBLK_SEGMENTS: int
    XENCON_IN: int
    XENCON_OUT: int
    XENUS_NOWHERE: int
    XENUS_PORT: int
    XNET_BAD_EXTRA: int
    XNET_BAD_GSO: int
    XNET_BAD_INDEX: int
    XNET_BAD_SIZE: int
    XNET_BAD_SLOTS: int
    XNET_CSUM4: int
    XNET_CSUM6: int
    XNET_EVENT: int
    XNET_FRAME_MAX: int
    XNET_HEADER: int
    XNET_LOST: int
    XNET_MAX_QUEUES: int
    XNET_REFUSED: int
    XNET_RING: int
    XNET_SG: int
    XNET_TSO4: int
    XNET_TSO6: int
    XNET_TX_SLOTS: int
    XSRING_EVENT: int
    XSRING_HEADER: int
    XSRING_IDLE: int
    XSRING_MESSAGE: int
    XSRING_NONE: int
    XSRING_PAYLOAD: int
    XSRING_RESTARTED: int
    XSRING_SIZE: int
    acpiregs_create: Callable[[struct_irq_hub, int, struct_vclock, struct_loop, int], struct_acpiregs]
    acpiregs_destroy: Callable[[struct_acpiregs], None]
    acpiregs_ged_raise: Callable[[struct_acpiregs, int], None]
    acpiregs_gpe_raise: Callable[[struct_acpiregs, int], None]
    acpiregs_load: Callable[[struct_acpiregs, struct_acpiregs_state], int]
    acpiregs_pm1_raise: Callable[[struct_acpiregs, int], None]
    acpiregs_reset: Callable[[struct_acpiregs], None]
    acpiregs_save: Callable[[struct_acpiregs, struct_acpiregs_state], None]
    acpiregs_sleep_type: Callable[[struct_acpiregs], int]
    acpiregs_wake: Callable[[struct_acpiregs], None]
    blk_counters: Callable[[struct_blk, struct_blk_counters], None]
    blk_create: Callable[[struct_blk_setup], struct_blk]
    blk_destroy: Callable[[struct_blk], None]
    blk_direct_align: Callable[[int, Any, Any], bool]
    blk_stop: Callable[[struct_blk], None]
    blk_wants_workers: Callable[[struct_blk], bool]
    blk_work: Callable[[struct_blk], None]
    bus_add_reader: Callable[[struct_bus, struct_bus_reader], int]
    bus_claim: Callable[[struct_bus, int, int, struct_dev, int], int]
    bus_counts: Callable[[struct_bus, struct_bus_counts], None]
    bus_create: Callable[[int], struct_bus]
    bus_destroy: Callable[[struct_bus], None]
    bus_inside: Callable[[struct_bus], bool]
    bus_move: Callable[[struct_bus, int, int, int], int]
    bus_quiet: Callable[[struct_bus, int], bool]
    bus_read: Callable[[struct_bus, struct_bus_reader, int, int, Any], int]
    bus_reader_bind: Callable[[struct_bus_reader], None]
    bus_release: Callable[[struct_bus, int, int], int]
    bus_remove_reader: Callable[[struct_bus, struct_bus_reader], None]
    bus_serial: Callable[[struct_bus], int]
    bus_settle: Callable[[struct_bus, struct_bus_reader, int], None]
    bus_write: Callable[[struct_bus, struct_bus_reader, int, int, int], int]
    bus_write_burst: Callable[[struct_bus, struct_bus_reader, int, Any, int], bool]
    chan_attach: Callable[[struct_chan, int, int], int]
    chan_can_put: Callable[[struct_chan], bool]
    chan_connected: Callable[[struct_chan], bool]
    chan_counters: Callable[[struct_chan, struct_chan_counters], None]
    chan_create: Callable[[struct_loop, int, int], struct_chan]
    chan_destroy: Callable[[struct_chan], None]
    chan_flush: Callable[[struct_chan, int], int]
    chan_has_peer: Callable[[struct_chan], bool]
    chan_keep: Callable[[struct_chan, int], int]
    chan_listen: Callable[[struct_chan, int], int]
    chan_out_error: Callable[[struct_chan], int]
    chan_put: Callable[[struct_chan, Any, int], int]
    chan_rx_resume: Callable[[struct_chan], None]
    chan_set_escape: Callable[[struct_chan, bool], None]
    chan_set_front: Callable[[struct_chan, struct_chan_front], None]
    chan_tail: Callable[[struct_chan, Any, int], int]
    chan_take: Callable[[struct_chan, Any, int], int]
    chan_watch_opens: Callable[[struct_chan, Any], int]
    chan_watch_panic: Callable[[struct_chan, bool], None]
    chan_writev: Callable[[struct_chan, struct_iovec, int], int]
    coalesce_counters: Callable[[struct_coalesce, struct_coalesce_counters], None]
    coalesce_create: Callable[[struct_kvmwait, struct_vclock, struct_loop, Any, Any], struct_coalesce]
    coalesce_destroy: Callable[[struct_coalesce], None]
    coalesce_zone_deinit: Callable[[struct_coalesce_zone], None]
    coalesce_zone_init: Callable[[struct_coalesce_zone, struct_coalesce, int, int, bool, bool], None]
    coalesce_zone_on: Callable[[struct_coalesce_zone], bool]
    coalesce_zone_set: Callable[[struct_coalesce_zone, bool], int]
    dbgexit_create: Callable[[], struct_dbgexit]
    dbgexit_destroy: Callable[[struct_dbgexit], None]
    dbgexit_load: Callable[[struct_dbgexit, struct_dbgexit_state], int]
    dbgexit_reset: Callable[[struct_dbgexit], None]
    dbgexit_save: Callable[[struct_dbgexit, struct_dbgexit_state], None]
    debugcon_counters: Callable[[struct_debugcon, struct_debugcon_counters], None]
    debugcon_create: Callable[[struct_chan, struct_coalesce, int], struct_debugcon]
    debugcon_destroy: Callable[[struct_debugcon], None]
    debugcon_load: Callable[[struct_debugcon, struct_debugcon_state], int]
    debugcon_reset: Callable[[struct_debugcon], None]
    debugcon_save: Callable[[struct_debugcon, struct_debugcon_state], None]
    eventfd: Callable[[int, int], int]
    evtchn_clear_pending: Callable[[struct_evtchn, int], int]
    evtchn_look: Callable[[struct_evtchn, int], int]
    evtchn_take: Callable[[struct_evtchn, int], int]
    evtchn_unmask: Callable[[struct_evtchn, int], int]
    fwcfg_add: Callable[[struct_fwcfg, int, Any, int], int]
    fwcfg_add_file: Callable[[struct_fwcfg, Any, Any, int], int]
    fwcfg_create: Callable[[], struct_fwcfg]
    fwcfg_destroy: Callable[[struct_fwcfg], None]
    fwcfg_load: Callable[[struct_fwcfg, struct_fwcfg_state], int]
    fwcfg_reset: Callable[[struct_fwcfg], None]
    fwcfg_save: Callable[[struct_fwcfg, struct_fwcfg_state], None]
    gmem_add: Callable[[struct_gmem, int, int, Any, int], int]
    gmem_at: Callable[[struct_gmem, struct_gmem_dev, int, int, int, struct_gmem_piece, int], int]
    gmem_counts: Callable[[struct_gmem_dev, struct_gmem_counts], None]
    gmem_create: Callable[[], struct_gmem]
    gmem_destroy: Callable[[struct_gmem], None]
    gmem_generation: Callable[[struct_gmem], int]
    gmem_pread: Callable[[struct_gmem, struct_gmem_dev, int, int, int, int], int]
    gmem_read: Callable[[struct_gmem, struct_gmem_dev, int, Any, int], int]
    gmem_remove: Callable[[struct_gmem, int, int], int]
    gmem_write: Callable[[struct_gmem, struct_gmem_dev, int, Any, int], int]
    gmem_zero: Callable[[struct_gmem, struct_gmem_dev, int, int], int]
    gnttab_counters: Callable[[struct_gnttab, struct_gnttab_counters], None]
    gnttab_create: Callable[[struct_gmem], struct_gnttab]
    gnttab_destroy: Callable[[struct_gnttab], None]
    gnttab_map: Callable[[struct_gnttab, int, bool, Array[Any]], int]
    gnttab_place: Callable[[struct_gnttab, int, int], int]
    gnttab_reset: Callable[[struct_gnttab], None]
    gnttab_unmap: Callable[[struct_gnttab, int, bool], None]
    hpet_create: Callable[[struct_irq_hub, struct_vclock, struct_loop], struct_hpet]
    hpet_destroy: Callable[[struct_hpet], None]
    hpet_load: Callable[[struct_hpet, struct_hpet_state], int]
    hpet_reset: Callable[[struct_hpet], None]
    hpet_save: Callable[[struct_hpet, struct_hpet_state], None]
    hpet_set_legacy: Callable[[struct_hpet, Any, Any], None]
    i8042_create: Callable[[struct_irq_hub, int, int], struct_i8042]
    i8042_destroy: Callable[[struct_i8042], None]
    i8042_load: Callable[[struct_i8042, struct_i8042_state], int]
    i8042_reset: Callable[[struct_i8042], None]
    i8042_save: Callable[[struct_i8042, struct_i8042_state], None]
    intx_create: Callable[[struct_irq_hub, struct_loop, int, int], struct_intx]
    intx_destroy: Callable[[struct_intx], None]
    intx_status: Callable[[struct_intx], int]
    ioapic_create: Callable[[int], struct_ioapic]
    ioapic_destroy: Callable[[struct_ioapic], None]
    ioapic_eoi: Callable[[struct_ioapic, int], None]
    ioapic_hold: Callable[[struct_ioapic, int, bool], None]
    ioapic_load: Callable[[struct_ioapic, struct_ioapic_state], int]
    ioapic_reconcile: Callable[[struct_ioapic, Any], None]
    ioapic_reset: Callable[[struct_ioapic], None]
    ioapic_routes: Callable[[struct_ioapic, struct_ioapic_route, int], int]
    ioapic_save: Callable[[struct_ioapic, struct_ioapic_state], None]
    ioapic_set_ended: Callable[[struct_ioapic, Any, Any], None]
    ioapic_set_line: Callable[[struct_ioapic, int, int], None]
    ioapic_set_msi: Callable[[struct_ioapic, Any, Any], None]
    ioapic_set_router: Callable[[struct_ioapic, struct_irq_router], None]
    ioapic_use_kvm: Callable[[struct_ioapic, int], None]
    iov_from_buf: Callable[[struct_iovec, int, int, Any, int], int]
    iov_to_buf: Callable[[struct_iovec, int, int, Any, int], int]
    irq_hub_create: Callable[[], struct_irq_hub]
    irq_hub_destroy: Callable[[struct_irq_hub], None]
    irq_hub_set_sink: Callable[[struct_irq_hub, struct_irq_sink], None]
    irq_hub_use_kernel: Callable[[struct_irq_hub, int], None]
    irq_line_init: Callable[[struct_irq_line, struct_irq_hub, int], None]
    irq_line_set: Callable[[struct_irq_line, int], None]
    irqchip_ioapic: Callable[[struct_kvm_irqchip], struct_ioapic_view]
    irqchip_pic: Callable[[struct_kvm_irqchip], struct_kvm_pic_state]
    legacy_route_create: Callable[[struct_hpet, struct_pit, struct_rtc, int], struct_legacy_route]
    legacy_route_destroy: Callable[[struct_legacy_route], None]
    loop_add_call: Callable[[struct_loop, int, int, int], int]
    loop_counters: Callable[[struct_loop, struct_loop_counters], None]
    loop_create: Callable[[], struct_loop]
    loop_destroy: Callable[[struct_loop], None]
    loop_forget: Callable[[struct_loop, Any], None]
    loop_modify: Callable[[struct_loop, int, int], int]
    loop_post: Callable[[struct_loop, int, int, Any], int]
    loop_post_once: Callable[[struct_loop, int, int, Any], int]
    loop_remove: Callable[[struct_loop, int], None]
    loop_run: Callable[[struct_loop, struct_loop_event], int]
    loop_stop: Callable[[struct_loop], None]
    loop_wake: Callable[[struct_loop], None]
    mmio_read: Callable[[Any, int], int]
    mmio_write: Callable[[Any, int, int], None]
    msi_adopt: Callable[[struct_msix, struct_pci_func, int], int]
    msi_capability: Callable[[struct_msix, struct_pci_func], int]
    msix_adopt: Callable[[struct_msix, struct_pci_func, int], int]
    msix_capability: Callable[[struct_msix, struct_pci_func, struct_msix_place], int]
    msix_control: Callable[[struct_msix, bool, bool], None]
    msix_create: Callable[[struct_irq_router, int, int], struct_msix]
    msix_destroy: Callable[[struct_msix], None]
    msix_fd: Callable[[struct_msix, int], int]
    msix_fire: Callable[[struct_msix, int], None]
    msix_load: Callable[[struct_msix, struct_msix_state], int]
    msix_pending: Callable[[struct_msix, int], int]
    msix_reset: Callable[[struct_msix], None]
    msix_save: Callable[[struct_msix, struct_msix_state], None]
    msix_set_gsi: Callable[[struct_msix, int, int], int]
    msix_set_sink: Callable[[struct_msix, struct_msix_sink], None]
    nullport_create: Callable[[], struct_nullport]
    nullport_destroy: Callable[[struct_nullport], None]
    nullport_load: Callable[[struct_nullport, struct_nullport_state], int]
    nullport_reset: Callable[[struct_nullport], None]
    nullport_save: Callable[[struct_nullport, struct_nullport_state], None]
    pci_add_bar: Callable[[struct_pci_func, int, int, int, bool], int]
    pci_add_capability: Callable[[struct_pci_func, int, int, struct_pci_cap_ops, Any], int]
    pci_add_ext_capability: Callable[[struct_pci_func, int, int, int, struct_pci_cap_ops, Any], int]
    pci_bars: Callable[[struct_pci_func, Any], None]
    pci_func_create: Callable[[struct_pci_ident], struct_pci_func]
    pci_func_destroy: Callable[[struct_pci_func], None]
    pci_func_load: Callable[[struct_pci_func, struct_pci_func_state], int]
    pci_func_reset: Callable[[struct_pci_func], None]
    pci_func_save: Callable[[struct_pci_func, struct_pci_func_state], None]
    pci_get: Callable[[struct_pci_func, int, int], int]
    pci_intx_connect: Callable[[struct_pci_func, struct_irq_hub, int, int], None]
    pci_intx_set: Callable[[struct_pci_func, bool], None]
    pci_pass: Callable[[struct_pci_func, struct_pci_pass_ops, Any], None]
    pci_plug: Callable[[struct_pci_root, struct_pci_func, int], int]
    pci_root_counts: Callable[[struct_pci_root, struct_pci_counts], None]
    pci_root_create: Callable[[struct_dev, int, struct_dev, struct_coalesce], struct_pci_root]
    pci_root_destroy: Callable[[struct_pci_root], None]
    pci_root_load: Callable[[struct_pci_root, struct_pci_root_state], int]
    pci_root_reset: Callable[[struct_pci_root], None]
    pci_root_save: Callable[[struct_pci_root, struct_pci_root_state], None]
    pci_set: Callable[[struct_pci_func, int, int, int], None]
    pci_set_bar: Callable[[struct_pci_func, int, int], None]
    pci_set_w1c: Callable[[struct_pci_func, int, int, int], None]
    pci_set_wmask: Callable[[struct_pci_func, int, int, int], None]
    pci_unplug: Callable[[struct_pci_func], None]
    pcihp_came: Callable[[struct_pcihp, int], None]
    pcihp_create: Callable[[], struct_pcihp]
    pcihp_destroy: Callable[[struct_pcihp], None]
    pcihp_left: Callable[[struct_pcihp, int], None]
    pcihp_load: Callable[[struct_pcihp, struct_pcihp_state], int]
    pcihp_reset: Callable[[struct_pcihp], None]
    pcihp_save: Callable[[struct_pcihp, struct_pcihp_state], None]
    pcihp_shall_go: Callable[[struct_pcihp, int], None]
    pcitest_create: Callable[[], struct_pcitest]
    pcitest_destroy: Callable[[struct_pcitest], None]
    pcitest_load: Callable[[struct_pcitest, struct_pcitest_state], int]
    pcitest_offset: Callable[[int, int], int]
    pcitest_reset: Callable[[struct_pcitest], None]
    pcitest_save: Callable[[struct_pcitest, struct_pcitest_state], None]
    pic_ack: Callable[[struct_pic], int]
    pic_create: Callable[[], struct_pic]
    pic_destroy: Callable[[struct_pic], None]
    pic_hold: Callable[[struct_pic, int, bool], None]
    pic_load: Callable[[struct_pic, struct_pic_state], int]
    pic_output: Callable[[struct_pic], bool]
    pic_reset: Callable[[struct_pic], None]
    pic_save: Callable[[struct_pic, struct_pic_state], None]
    pic_set_ended: Callable[[struct_pic, Any, Any], None]
    pic_set_intr: Callable[[struct_pic, Any, Any], None]
    pic_set_line: Callable[[struct_pic, int, int], None]
    pit_create: Callable[[struct_irq_hub, int, struct_vclock, struct_loop], struct_pit]
    pit_destroy: Callable[[struct_pit], None]
    pit_hide_count2: Callable[[struct_pit], None]
    pit_load: Callable[[struct_pit, struct_pit_state], int]
    pit_reset: Callable[[struct_pit], None]
    pit_save: Callable[[struct_pit, struct_pit_state], None]
    pit_set_irq_off: Callable[[struct_pit, bool], None]
    pmtimer_create: Callable[[struct_vclock, int], struct_pmtimer]
    pmtimer_destroy: Callable[[struct_pmtimer], None]
    pmtimer_load: Callable[[struct_pmtimer, struct_pmtimer_state], int]
    pmtimer_reset: Callable[[struct_pmtimer], None]
    pmtimer_save: Callable[[struct_pmtimer, struct_pmtimer_state], None]
    postcode_create: Callable[[struct_vclock], struct_postcode]
    postcode_destroy: Callable[[struct_postcode], None]
    postcode_load: Callable[[struct_postcode, struct_postcode_state], int]
    postcode_marks: Callable[[struct_postcode, int, struct_postcode_mark, int, Any], int]
    postcode_reset: Callable[[struct_postcode], None]
    postcode_save: Callable[[struct_postcode, struct_postcode_state], None]
    postcode_writes: Callable[[struct_postcode], int]
    pvpanic_create: Callable[[], struct_pvpanic]
    pvpanic_destroy: Callable[[struct_pvpanic], None]
    pvpanic_load: Callable[[struct_pvpanic, struct_pvpanic_state], int]
    pvpanic_reset: Callable[[struct_pvpanic], None]
    pvpanic_save: Callable[[struct_pvpanic, struct_pvpanic_state], None]
    pydev_counts: Callable[[struct_pydev, struct_pydev_counts], None]
    pydev_create: Callable[[struct_pydev_upcalls, Any], struct_pydev]
    pydev_destroy: Callable[[struct_pydev], None]
    ram_advise: Callable[[Any, int, int], int]
    ram_collapse: Callable[[Any, int, int], int]
    ram_map: Callable[[int, int, Array[Any]], int]
    ram_unmap: Callable[[Any, int], None]
    resetport_create: Callable[[], struct_resetport]
    resetport_destroy: Callable[[struct_resetport], None]
    resetport_load: Callable[[struct_resetport, struct_resetport_state], int]
    resetport_reset: Callable[[struct_resetport], None]
    resetport_save: Callable[[struct_resetport, struct_resetport_state], None]
    router_add_pin: Callable[[struct_irq_router, int, int, int], int]
    router_clear: Callable[[struct_irq_router, int], None]
    router_commit: Callable[[struct_irq_router], int]
    router_commits: Callable[[struct_irq_router], int]
    router_create: Callable[[int], struct_irq_router]
    router_destroy: Callable[[struct_irq_router], None]
    router_entries: Callable[[struct_irq_router, struct_router_entry, int], int]
    router_set_msi: Callable[[struct_irq_router, int, int, int], int]
    router_set_pirq: Callable[[struct_irq_router, int, int, int], int]
    router_set_xen: Callable[[struct_irq_router, int, int, int, int], int]
    router_use_pirqs: Callable[[struct_irq_router], None]
    rtc_create: Callable[[struct_irq_hub, int, struct_vclock, struct_loop, int, int], struct_rtc]
    rtc_destroy: Callable[[struct_rtc], None]
    rtc_load: Callable[[struct_rtc, struct_rtc_state], int]
    rtc_peek: Callable[[struct_rtc, int], int]
    rtc_poke: Callable[[struct_rtc, int, int], int]
    rtc_reset: Callable[[struct_rtc], None]
    rtc_save: Callable[[struct_rtc, struct_rtc_state], None]
    rtc_set_irq_off: Callable[[struct_rtc, bool], None]
    rtc_set_time: Callable[[struct_rtc, int, int], int]
    split_sink_attach: Callable[[struct_split_sink, struct_irq_hub], None]
    split_sink_create: Callable[[struct_pic, struct_ioapic], struct_split_sink]
    split_sink_destroy: Callable[[struct_split_sink], None]
    split_sink_detach: Callable[[struct_split_sink, struct_irq_hub], None]
    sys_cpuid: Callable[[int, int, Any], None]
    sys_ioctl: Callable[[int, int, Any], int]
    sys_ioctl_value: Callable[[int, int, int], int]
    sys_timerfd: Callable[[], int]
    sys_timerfd_set: Callable[[int, int, int], int]
    testdev_create: Callable[[struct_irq_hub], struct_testdev]
    testdev_destroy: Callable[[struct_testdev], None]
    testdev_load: Callable[[struct_testdev, struct_testdev_state], int]
    testdev_reset: Callable[[struct_testdev], None]
    testdev_save: Callable[[struct_testdev, struct_testdev_state], None]
    testdev_set_debugcon: Callable[[struct_testdev, struct_dev], None]
    timer_arm: Callable[[struct_timer, int], None]
    timer_deadline: Callable[[struct_timer], int]
    timer_deinit: Callable[[struct_timer], None]
    timer_disarm: Callable[[struct_timer], None]
    timer_init: Callable[[struct_timer, struct_vclock, struct_loop, Any, Any], int]
    uart_counters: Callable[[struct_uart, struct_uart_counters], None]
    uart_create: Callable[[struct_uart_setup], struct_uart]
    uart_destroy: Callable[[struct_uart], None]
    uart_load: Callable[[struct_uart, struct_uart_state], int]
    uart_receive: Callable[[struct_uart, Any, int], int]
    uart_reset: Callable[[struct_uart], None]
    uart_save: Callable[[struct_uart, struct_uart_state], None]
    uart_send_break: Callable[[struct_uart], None]
    vblk_counters: Callable[[struct_vblk, struct_vblk_counters], None]
    vblk_create: Callable[[struct_vblk_setup], struct_vblk]
    vblk_destroy: Callable[[struct_vblk], None]
    vblk_load: Callable[[struct_vblk, struct_vblk_state], int]
    vblk_resize: Callable[[struct_vblk, int], None]
    vblk_save: Callable[[struct_vblk, struct_vblk_state], None]
    vclock_create: Callable[[bool], struct_vclock]
    vclock_destroy: Callable[[struct_vclock], None]
    vclock_ns: Callable[[struct_vclock], int]
    vclock_run: Callable[[struct_vclock], None]
    vclock_set: Callable[[struct_vclock, int], None]
    vclock_step: Callable[[struct_vclock, int], None]
    vclock_stop: Callable[[struct_vclock], None]
    vcon_add: Callable[[struct_vcon, int, struct_chan, bool, Any], int]
    vcon_control_add: Callable[[struct_vcon_control, int, bool, Any], int]
    vcon_control_host: Callable[[struct_vcon_control, int, bool], None]
    vcon_control_init: Callable[[struct_vcon_control, int, bool], None]
    vcon_control_next: Callable[[struct_vcon_control, Any], int]
    vcon_control_receive: Callable[[struct_vcon_control, Any, int, Any], int]
    vcon_control_remove: Callable[[struct_vcon_control, int], None]
    vcon_control_reset: Callable[[struct_vcon_control], None]
    vcon_control_resize: Callable[[struct_vcon_control, int, int], None]
    vcon_control_set: Callable[[struct_vcon_control, int, struct_vcon_control_port], bool]
    vcon_counters: Callable[[struct_vcon, struct_vcon_counters], None]
    vcon_create: Callable[[struct_vcon_setup], struct_vcon]
    vcon_destroy: Callable[[struct_vcon], None]
    vcon_guest_open: Callable[[struct_vcon, int], bool]
    vcon_load: Callable[[struct_vcon, struct_vcon_state], int]
    vcon_news: Callable[[struct_vcon, struct_vcon_news], None]
    vcon_port_counters: Callable[[struct_vcon, int, struct_vcon_port_counters], None]
    vcon_remove: Callable[[struct_vcon, int], int]
    vcon_resize: Callable[[struct_vcon, int, int], None]
    vcon_save: Callable[[struct_vcon, struct_vcon_state], None]
    vcon_swap: Callable[[struct_vcon, int, struct_chan], int]
    vcpu_complete_io: Callable[[struct_vcpu, struct_vcpu_event], bool]
    vcpu_create: Callable[[struct_vmcore, int, int, int, int], struct_vcpu]
    vcpu_destroy: Callable[[struct_vcpu], None]
    vcpu_failure: Callable[[struct_vcpu, struct_vcpu_failure], None]
    vcpu_hypercall: Callable[[struct_vcpu, struct_vcpu_hypercall], None]
    vcpu_hypercall_result: Callable[[struct_vcpu, int], None]
    vcpu_kick: Callable[[struct_vcpu, int], None]
    vcpu_kick_signal_init: Callable[[], int]
    vcpu_refuse_msr: Callable[[struct_vcpu], None]
    vcpu_run: Callable[[struct_vcpu, struct_vcpu_event], int]
    vcpu_thread_begin: Callable[[struct_vcpu], int]
    vcpu_thread_mask_signals: Callable[[], None]
    vfiopci_adopt: Callable[[struct_vfiopci, struct_pci_func, int, Any, Any, int], int]
    vfiopci_counts: Callable[[struct_vfiopci, struct_vfiopci_counts], None]
    vfiopci_create: Callable[[int], struct_vfiopci]
    vfiopci_destroy: Callable[[struct_vfiopci], None]
    vfiopci_hold: Callable[[struct_vfiopci], None]
    vfiopci_intx: Callable[[struct_vfiopci, int, int], None]
    vfiopci_mode: Callable[[struct_vfiopci], int]
    vfiopci_release: Callable[[struct_vfiopci], None]
    vfiopci_vectors: Callable[[struct_vfiopci, struct_msix, struct_msix, bool], None]
    vfiopci_window: Callable[[struct_vfiopci, int], int]
    virtio_again: Callable[[struct_virtio_dev, int], None]
    virtio_ask_pause: Callable[[struct_virtio_dev], None]
    virtio_ask_reset: Callable[[struct_virtio_dev], None]
    virtio_ask_resume: Callable[[struct_virtio_dev], None]
    virtio_config_changed: Callable[[struct_virtio_dev, int, Any, int], None]
    virtio_counters: Callable[[struct_virtio_dev, struct_virtio_counters], None]
    virtio_interrupt: Callable[[struct_virtio_dev, int], None]
    virtio_load: Callable[[struct_virtio_dev, struct_virtio_state], int]
    virtio_needs_reset: Callable[[struct_virtio_dev, int], None]
    virtio_pci_create: Callable[[struct_virtio_pci_setup], struct_virtio_pci]
    virtio_pci_destroy: Callable[[struct_virtio_pci], None]
    virtio_pci_load: Callable[[struct_virtio_pci, struct_virtio_pci_state], int]
    virtio_pci_save: Callable[[struct_virtio_pci, struct_virtio_pci_state], None]
    virtio_py_config: Callable[[struct_virtio_py, Any], None]
    virtio_py_create: Callable[[struct_virtio_py_setup], struct_virtio_py]
    virtio_py_destroy: Callable[[struct_virtio_py], None]
    virtio_py_serve: Callable[[struct_virtio_py, int, Any, Any], None]
    virtio_py_take: Callable[[struct_virtio_py, struct_virtio_py_notes], None]
    virtio_queue_live: Callable[[struct_virtio_dev, int], bool]
    virtio_queue_stopped: Callable[[struct_virtio_dev, int], None]
    virtio_quiesced: Callable[[struct_virtio_dev], None]
    virtio_rng_counters: Callable[[struct_virtio_rng, struct_virtio_rng_counters], None]
    virtio_rng_create: Callable[[struct_virtio_rng_setup], struct_virtio_rng]
    virtio_rng_destroy: Callable[[struct_virtio_rng], None]
    virtio_rng_load: Callable[[struct_virtio_rng, struct_virtio_rng_state], int]
    virtio_rng_save: Callable[[struct_virtio_rng, struct_virtio_rng_state], None]
    virtio_save: Callable[[struct_virtio_dev, struct_virtio_state], int]
    virtio_service: Callable[[struct_virtio_dev], None]
    virtio_stopped: Callable[[struct_virtio_dev], None]
    virtio_wait_idle: Callable[[struct_virtio_dev, int], int]
    virtio_wait_quiet: Callable[[struct_virtio_dev, int], int]
    vmcore_asked: Callable[[struct_vmcore, struct_vcpu_event], bool]
    vmcore_create: Callable[[int, struct_bus, struct_bus], struct_vmcore]
    vmcore_destroy: Callable[[struct_vmcore], None]
    vmcore_drain: Callable[[struct_vmcore], int]
    vmcore_ioctl: Callable[[struct_vmcore, int, Any], int]
    vmcore_polls: Callable[[struct_vmcore], None]
    vmcore_set_split_irqchip: Callable[[struct_vmcore, struct_pic, struct_ioapic], None]
    vnet_counters: Callable[[struct_vnet, struct_vnet_counters], None]
    vnet_create: Callable[[struct_vnet_setup], struct_vnet]
    vnet_destroy: Callable[[struct_vnet], None]
    vnet_load: Callable[[struct_vnet, struct_vnet_state], int]
    vnet_save: Callable[[struct_vnet, struct_vnet_state], None]
    vq_counts: Callable[[struct_vq, struct_vq_counts], None]
    vq_empty: Callable[[struct_vq], bool]
    vq_flush: Callable[[struct_vq], bool]
    vq_kicks_off: Callable[[struct_vq], None]
    vq_kicks_on: Callable[[struct_vq], bool]
    vq_look_again: Callable[[struct_vq], None]
    vq_pop: Callable[[struct_vq, struct_vq_chain], int]
    vq_push: Callable[[struct_vq, int, int], None]
    vq_start: Callable[[struct_vq, struct_gmem, struct_gmem_dev, struct_vq_config], int]
    vq_stop: Callable[[struct_vq, struct_vq_config], None]
    vq_unpop: Callable[[struct_vq], None]
    xblk_connect: Callable[[struct_xblk, int, struct_xblk_link], int]
    xblk_counters: Callable[[struct_xblk, struct_xblk_counters], None]
    xblk_create: Callable[[struct_xblk_setup], struct_xblk]
    xblk_destroy: Callable[[struct_xblk], None]
    xblk_disconnect: Callable[[struct_xblk], None]
    xblk_in_flight: Callable[[struct_xblk], int]
    xblk_pause: Callable[[struct_xblk, bool], None]
    xencon_connect: Callable[[struct_xencon, int, int, int], int]
    xencon_counters: Callable[[struct_xencon, struct_xencon_counters], None]
    xencon_create: Callable[[struct_gmem, struct_loop, struct_chan], struct_xencon]
    xencon_destroy: Callable[[struct_xencon], None]
    xencon_disconnect: Callable[[struct_xencon], None]
    xencon_pause: Callable[[struct_xencon, bool], None]
    xenpirq_answer: Callable[[struct_xenpirq, struct_vcpu, struct_gmem, struct_gmem_dev], None]
    xenpirq_bind: Callable[[struct_xenpirq, int, int, int], int]
    xenpirq_create: Callable[[struct_irq_hub, int], struct_xenpirq]
    xenpirq_destroy: Callable[[struct_xenpirq], None]
    xenpirq_eoi: Callable[[struct_xenpirq, int], None]
    xenpirq_pass_all: Callable[[struct_xenpirq], None]
    xenpirq_set_level: Callable[[struct_xenpirq, int, int], None]
    xenus_add_vcpu: Callable[[struct_xenus, int, struct_vcpu], None]
    xenus_calls_lost: Callable[[struct_xenus], int]
    xenus_close: Callable[[struct_xenus, int], None]
    xenus_close_channel: Callable[[struct_xenus, int], None]
    xenus_connect: Callable[[struct_xenus, int, int, int], None]
    xenus_counters: Callable[[struct_xenus, struct_xenus_counters], None]
    xenus_create: Callable[[struct_vmcore, struct_gmem, struct_gmem_dev, struct_vclock, struct_loop, int], struct_xenus]
    xenus_destroy: Callable[[struct_xenus], None]
    xenus_end_polls: Callable[[struct_xenus], None]
    xenus_find_site: Callable[[Any, int, Any], int]
    xenus_know_vcpu: Callable[[struct_xenus, int, struct_vcpu], None]
    xenus_open: Callable[[struct_xenus, int, int], None]
    xenus_open_channel: Callable[[struct_xenus, int, int, int, int], int]
    xenus_pass_all: Callable[[struct_xenus], None]
    xenus_runstate: Callable[[struct_xenus, int, struct_xenus_runstate], int]
    xenus_send: Callable[[struct_xenus, int, int], int]
    xenus_set_gsi: Callable[[struct_xenus, int, int], int]
    xenus_set_info: Callable[[struct_xenus, int, int], None]
    xenus_set_page: Callable[[struct_xenus, int], None]
    xenus_set_runstate: Callable[[struct_xenus, int, int], None]
    xenus_set_schedstat: Callable[[struct_xenus, int, int], None]
    xenus_set_sites: Callable[[struct_xenus, int, int, int], int]
    xenus_set_timer_port: Callable[[struct_xenus, int, int, int], None]
    xenus_set_update_flag: Callable[[struct_xenus, bool], None]
    xenus_set_vector: Callable[[struct_xenus, int, int], None]
    xenus_set_wide: Callable[[struct_xenus, bool], None]
    xenus_share_sites: Callable[[struct_xenus, int, int, int], None]
    xenus_take_seen: Callable[[struct_xenus, int, struct_xenus_seen, int], int]
    xenus_tell: Callable[[struct_xenus, int], None]
    xenus_timer_end: Callable[[struct_xenus, int], int]
    xenus_watch: Callable[[struct_xenus, int], int]
    xnet_connect: Callable[[struct_xnet, int, struct_xnet_link, int], int]
    xnet_counters: Callable[[struct_xnet, struct_xnet_counters], None]
    xnet_create: Callable[[struct_xnet_setup], struct_xnet]
    xnet_destroy: Callable[[struct_xnet], None]
    xnet_disconnect: Callable[[struct_xnet], None]
    xnet_pause: Callable[[struct_xnet, bool], None]
    xsring_connect: Callable[[struct_xsring, int, int, int], int]
    xsring_counters: Callable[[struct_xsring, struct_xsring_counters], None]
    xsring_create: Callable[[struct_gmem, struct_loop], struct_xsring]
    xsring_destroy: Callable[[struct_xsring], None]
    xsring_disconnect: Callable[[struct_xsring], None]
    xsring_pause: Callable[[struct_xsring, bool], None]
    xsring_put: Callable[[struct_xsring, Any, int], int]
    xsring_take: Callable[[struct_xsring, Any], int]
    vmm_pydev_read: Any
    vmm_pydev_write: Any

class FFI:
    NULL: Any
    CData: type[Any]
    CType: type[Any]
    error: type[Exception]
    errno: int
    def addressof(self, cdata: Any, *path: str | int) -> Any: ...
    def buffer(self, cdata: Any, size: int = ...) -> Any: ...
    @overload
    def callback(self, cdecl: str, function: Callable[..., Any], *, error: Any = ...) -> Any: ...
    @overload
    def callback(self, cdecl: str, *, error: Any = ...) -> Callable[[_F], Any]: ...
    def cast(self, cdecl: str, value: Any) -> Any: ...
    def def_extern(
        self,
        name: str = ...,
        error: Any = ...,
        onerror: Callable[[Any, Any, Any], Any] | None = ...,
    ) -> Callable[[_F], _F]: ...
    def from_buffer(self, buffer: Any, require_writable: bool = ...) -> Any: ...
    def from_handle(self, handle: Any) -> Any: ...
    def gc(self, cdata: _T, destructor: Callable[[_T], Any] | None, size: int = ...) -> _T: ...
    def memmove(self, dest: Any, src: Any, n: int) -> None: ...
    def new_handle(self, obj: object) -> Cdata: ...
    def offsetof(self, cdecl: str, *path: str | int) -> int: ...
    def release(self, cdata: Any) -> None: ...
    def sizeof(self, cdecl: Any) -> int: ...
    def string(self, cdata: Any, maxlen: int = ...) -> Any: ...
    def typeof(self, cdecl: Any) -> Any: ...
    def unpack(self, cdata: Any, length: int) -> Any: ...
    @overload
    def new(self, cdecl: Literal["struct acpiregs *"], init: Any = ...) -> struct_acpiregs: ...
    @overload
    def new(self, cdecl: Literal["struct acpiregs_state *"], init: Any = ...) -> struct_acpiregs_state: ...
    @overload
    def new(self, cdecl: Literal["struct blk_counters *"], init: Any = ...) -> struct_blk_counters: ...
    @overload
    def new(self, cdecl: Literal["struct blk_setup *"], init: Any = ...) -> struct_blk_setup: ...
    @overload
    def new(self, cdecl: Literal["struct bus_counts *"], init: Any = ...) -> struct_bus_counts: ...
    @overload
    def new(self, cdecl: Literal["struct chan_counters *"], init: Any = ...) -> struct_chan_counters: ...
    @overload
    def new(self, cdecl: Literal["struct chan_front *"], init: Any = ...) -> struct_chan_front: ...
    @overload
    def new(self, cdecl: Literal["struct coalesce_counters *"], init: Any = ...) -> struct_coalesce_counters: ...
    @overload
    def new(self, cdecl: Literal["struct coalesce_zone *"], init: Any = ...) -> struct_coalesce_zone: ...
    @overload
    def new(self, cdecl: Literal["struct dbgexit *"], init: Any = ...) -> struct_dbgexit: ...
    @overload
    def new(self, cdecl: Literal["struct dbgexit_state *"], init: Any = ...) -> struct_dbgexit_state: ...
    @overload
    def new(self, cdecl: Literal["struct debugcon *"], init: Any = ...) -> struct_debugcon: ...
    @overload
    def new(self, cdecl: Literal["struct debugcon_counters *"], init: Any = ...) -> struct_debugcon_counters: ...
    @overload
    def new(self, cdecl: Literal["struct debugcon_state *"], init: Any = ...) -> struct_debugcon_state: ...
    @overload
    def new(self, cdecl: Literal["struct dev *"], init: Any = ...) -> struct_dev: ...
    @overload
    def new(self, cdecl: Literal["struct evtchn *"], init: Any = ...) -> struct_evtchn: ...
    @overload
    def new(self, cdecl: Literal["struct fwcfg *"], init: Any = ...) -> struct_fwcfg: ...
    @overload
    def new(self, cdecl: Literal["struct fwcfg_state *"], init: Any = ...) -> struct_fwcfg_state: ...
    @overload
    def new(self, cdecl: Literal["struct gmem_counts *"], init: Any = ...) -> struct_gmem_counts: ...
    @overload
    def new(self, cdecl: Literal["struct gmem_dev *"], init: Any = ...) -> struct_gmem_dev: ...
    @overload
    def new(self, cdecl: Literal["struct gmem_piece *"], init: Any = ...) -> struct_gmem_piece: ...
    @overload
    def new(self, cdecl: Literal["struct gnttab_counters *"], init: Any = ...) -> struct_gnttab_counters: ...
    @overload
    def new(self, cdecl: Literal["struct hist *"], init: Any = ...) -> struct_hist: ...
    @overload
    def new(self, cdecl: Literal["struct hist_slot *"], init: Any = ...) -> struct_hist_slot: ...
    @overload
    def new(self, cdecl: Literal["struct hpet *"], init: Any = ...) -> struct_hpet: ...
    @overload
    def new(self, cdecl: Literal["struct hpet_state *"], init: Any = ...) -> struct_hpet_state: ...
    @overload
    def new(self, cdecl: Literal["struct i8042 *"], init: Any = ...) -> struct_i8042: ...
    @overload
    def new(self, cdecl: Literal["struct i8042_state *"], init: Any = ...) -> struct_i8042_state: ...
    @overload
    def new(self, cdecl: Literal["struct ifreq *"], init: Any = ...) -> struct_ifreq: ...
    @overload
    def new(self, cdecl: Literal["struct intx *"], init: Any = ...) -> struct_intx: ...
    @overload
    def new(self, cdecl: Literal["struct ioapic *"], init: Any = ...) -> struct_ioapic: ...
    @overload
    def new(self, cdecl: Literal["struct ioapic_route *"], init: Any = ...) -> struct_ioapic_route: ...
    @overload
    def new(self, cdecl: Literal["struct ioapic_state *"], init: Any = ...) -> struct_ioapic_state: ...
    @overload
    def new(self, cdecl: Literal["struct ioapic_view *"], init: Any = ...) -> struct_ioapic_view: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_destroy *"], init: Any = ...) -> struct_iommu_destroy: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_hw_info *"], init: Any = ...) -> struct_iommu_hw_info: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_hwpt_alloc *"], init: Any = ...) -> struct_iommu_hwpt_alloc: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_hwpt_get_dirty_bitmap *"], init: Any = ...) -> struct_iommu_hwpt_get_dirty_bitmap: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_hwpt_set_dirty_tracking *"], init: Any = ...) -> struct_iommu_hwpt_set_dirty_tracking: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_ioas_alloc *"], init: Any = ...) -> struct_iommu_ioas_alloc: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_ioas_allow_iovas *"], init: Any = ...) -> struct_iommu_ioas_allow_iovas: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_ioas_copy *"], init: Any = ...) -> struct_iommu_ioas_copy: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_ioas_iova_ranges *"], init: Any = ...) -> struct_iommu_ioas_iova_ranges: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_ioas_map *"], init: Any = ...) -> struct_iommu_ioas_map: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_ioas_unmap *"], init: Any = ...) -> struct_iommu_ioas_unmap: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_iova_range *"], init: Any = ...) -> struct_iommu_iova_range: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_option *"], init: Any = ...) -> struct_iommu_option: ...
    @overload
    def new(self, cdecl: Literal["struct iommu_vfio_ioas *"], init: Any = ...) -> struct_iommu_vfio_ioas: ...
    @overload
    def new(self, cdecl: Literal["struct iovec *"], init: Any = ...) -> struct_iovec: ...
    @overload
    def new(self, cdecl: Literal["struct irq_line *"], init: Any = ...) -> struct_irq_line: ...
    @overload
    def new(self, cdecl: Literal["struct irq_sink *"], init: Any = ...) -> struct_irq_sink: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_clock_data *"], init: Any = ...) -> struct_kvm_clock_data: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_coalesced_mmio_zone *"], init: Any = ...) -> struct_kvm_coalesced_mmio_zone: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_cpuid2 *"], init: Any = ...) -> struct_kvm_cpuid2: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_cpuid_entry2 *"], init: Any = ...) -> struct_kvm_cpuid_entry2: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_create_device *"], init: Any = ...) -> struct_kvm_create_device: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_debugregs *"], init: Any = ...) -> struct_kvm_debugregs: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_device_attr *"], init: Any = ...) -> struct_kvm_device_attr: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_dtable *"], init: Any = ...) -> struct_kvm_dtable: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_enable_cap *"], init: Any = ...) -> struct_kvm_enable_cap: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_ioeventfd *"], init: Any = ...) -> struct_kvm_ioeventfd: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_irq_level *"], init: Any = ...) -> struct_kvm_irq_level: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_irq_routing_xen_evtchn *"], init: Any = ...) -> struct_kvm_irq_routing_xen_evtchn: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_irqchip *"], init: Any = ...) -> struct_kvm_irqchip: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_irqfd *"], init: Any = ...) -> struct_kvm_irqfd: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_lapic_state *"], init: Any = ...) -> struct_kvm_lapic_state: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_mp_state *"], init: Any = ...) -> struct_kvm_mp_state: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_msi *"], init: Any = ...) -> struct_kvm_msi: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_msr_entry *"], init: Any = ...) -> struct_kvm_msr_entry: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_msr_filter *"], init: Any = ...) -> struct_kvm_msr_filter: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_msr_filter_range *"], init: Any = ...) -> struct_kvm_msr_filter_range: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_msr_list *"], init: Any = ...) -> struct_kvm_msr_list: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_msrs *"], init: Any = ...) -> struct_kvm_msrs: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_pic_state *"], init: Any = ...) -> struct_kvm_pic_state: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_pit_channel_state *"], init: Any = ...) -> struct_kvm_pit_channel_state: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_pit_config *"], init: Any = ...) -> struct_kvm_pit_config: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_pit_state2 *"], init: Any = ...) -> struct_kvm_pit_state2: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_regs *"], init: Any = ...) -> struct_kvm_regs: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_run *"], init: Any = ...) -> struct_kvm_run: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_segment *"], init: Any = ...) -> struct_kvm_segment: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_sregs *"], init: Any = ...) -> struct_kvm_sregs: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_stats_desc *"], init: Any = ...) -> struct_kvm_stats_desc: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_stats_header *"], init: Any = ...) -> struct_kvm_stats_header: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_translation *"], init: Any = ...) -> struct_kvm_translation: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_userspace_memory_region *"], init: Any = ...) -> struct_kvm_userspace_memory_region: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_vcpu_events *"], init: Any = ...) -> struct_kvm_vcpu_events: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_xcr *"], init: Any = ...) -> struct_kvm_xcr: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_xcrs *"], init: Any = ...) -> struct_kvm_xcrs: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_xen_exit *"], init: Any = ...) -> struct_kvm_xen_exit: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_xen_hvm_attr *"], init: Any = ...) -> struct_kvm_xen_hvm_attr: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_xen_hvm_config *"], init: Any = ...) -> struct_kvm_xen_hvm_config: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_xen_vcpu_attr *"], init: Any = ...) -> struct_kvm_xen_vcpu_attr: ...
    @overload
    def new(self, cdecl: Literal["struct kvm_xsave *"], init: Any = ...) -> struct_kvm_xsave: ...
    @overload
    def new(self, cdecl: Literal["struct loop_counters *"], init: Any = ...) -> struct_loop_counters: ...
    @overload
    def new(self, cdecl: Literal["struct loop_event *"], init: Any = ...) -> struct_loop_event: ...
    @overload
    def new(self, cdecl: Literal["struct msix *"], init: Any = ...) -> struct_msix: ...
    @overload
    def new(self, cdecl: Literal["struct msix_place *"], init: Any = ...) -> struct_msix_place: ...
    @overload
    def new(self, cdecl: Literal["struct msix_sink *"], init: Any = ...) -> struct_msix_sink: ...
    @overload
    def new(self, cdecl: Literal["struct msix_state *"], init: Any = ...) -> struct_msix_state: ...
    @overload
    def new(self, cdecl: Literal["struct nullport *"], init: Any = ...) -> struct_nullport: ...
    @overload
    def new(self, cdecl: Literal["struct nullport_state *"], init: Any = ...) -> struct_nullport_state: ...
    @overload
    def new(self, cdecl: Literal["struct pci_counts *"], init: Any = ...) -> struct_pci_counts: ...
    @overload
    def new(self, cdecl: Literal["struct pci_func *"], init: Any = ...) -> struct_pci_func: ...
    @overload
    def new(self, cdecl: Literal["struct pci_func_state *"], init: Any = ...) -> struct_pci_func_state: ...
    @overload
    def new(self, cdecl: Literal["struct pci_ident *"], init: Any = ...) -> struct_pci_ident: ...
    @overload
    def new(self, cdecl: Literal["struct pci_pass_ops *"], init: Any = ...) -> struct_pci_pass_ops: ...
    @overload
    def new(self, cdecl: Literal["struct pci_root *"], init: Any = ...) -> struct_pci_root: ...
    @overload
    def new(self, cdecl: Literal["struct pci_root_state *"], init: Any = ...) -> struct_pci_root_state: ...
    @overload
    def new(self, cdecl: Literal["struct pcihp *"], init: Any = ...) -> struct_pcihp: ...
    @overload
    def new(self, cdecl: Literal["struct pcihp_state *"], init: Any = ...) -> struct_pcihp_state: ...
    @overload
    def new(self, cdecl: Literal["struct pcitest *"], init: Any = ...) -> struct_pcitest: ...
    @overload
    def new(self, cdecl: Literal["struct pcitest_state *"], init: Any = ...) -> struct_pcitest_state: ...
    @overload
    def new(self, cdecl: Literal["struct pic *"], init: Any = ...) -> struct_pic: ...
    @overload
    def new(self, cdecl: Literal["struct pic_state *"], init: Any = ...) -> struct_pic_state: ...
    @overload
    def new(self, cdecl: Literal["struct pit *"], init: Any = ...) -> struct_pit: ...
    @overload
    def new(self, cdecl: Literal["struct pit_state *"], init: Any = ...) -> struct_pit_state: ...
    @overload
    def new(self, cdecl: Literal["struct pmtimer *"], init: Any = ...) -> struct_pmtimer: ...
    @overload
    def new(self, cdecl: Literal["struct pmtimer_state *"], init: Any = ...) -> struct_pmtimer_state: ...
    @overload
    def new(self, cdecl: Literal["struct postcode *"], init: Any = ...) -> struct_postcode: ...
    @overload
    def new(self, cdecl: Literal["struct postcode_mark *"], init: Any = ...) -> struct_postcode_mark: ...
    @overload
    def new(self, cdecl: Literal["struct postcode_state *"], init: Any = ...) -> struct_postcode_state: ...
    @overload
    def new(self, cdecl: Literal["struct pvpanic *"], init: Any = ...) -> struct_pvpanic: ...
    @overload
    def new(self, cdecl: Literal["struct pvpanic_state *"], init: Any = ...) -> struct_pvpanic_state: ...
    @overload
    def new(self, cdecl: Literal["struct pydev *"], init: Any = ...) -> struct_pydev: ...
    @overload
    def new(self, cdecl: Literal["struct pydev_counts *"], init: Any = ...) -> struct_pydev_counts: ...
    @overload
    def new(self, cdecl: Literal["struct pydev_upcalls *"], init: Any = ...) -> struct_pydev_upcalls: ...
    @overload
    def new(self, cdecl: Literal["struct resetport *"], init: Any = ...) -> struct_resetport: ...
    @overload
    def new(self, cdecl: Literal["struct resetport_state *"], init: Any = ...) -> struct_resetport_state: ...
    @overload
    def new(self, cdecl: Literal["struct router_entry *"], init: Any = ...) -> struct_router_entry: ...
    @overload
    def new(self, cdecl: Literal["struct rtc *"], init: Any = ...) -> struct_rtc: ...
    @overload
    def new(self, cdecl: Literal["struct rtc_state *"], init: Any = ...) -> struct_rtc_state: ...
    @overload
    def new(self, cdecl: Literal["struct testdev *"], init: Any = ...) -> struct_testdev: ...
    @overload
    def new(self, cdecl: Literal["struct testdev_state *"], init: Any = ...) -> struct_testdev_state: ...
    @overload
    def new(self, cdecl: Literal["struct timer *"], init: Any = ...) -> struct_timer: ...
    @overload
    def new(self, cdecl: Literal["struct trace *"], init: Any = ...) -> struct_trace: ...
    @overload
    def new(self, cdecl: Literal["struct trace_record *"], init: Any = ...) -> struct_trace_record: ...
    @overload
    def new(self, cdecl: Literal["struct uart *"], init: Any = ...) -> struct_uart: ...
    @overload
    def new(self, cdecl: Literal["struct uart_counters *"], init: Any = ...) -> struct_uart_counters: ...
    @overload
    def new(self, cdecl: Literal["struct uart_setup *"], init: Any = ...) -> struct_uart_setup: ...
    @overload
    def new(self, cdecl: Literal["struct uart_state *"], init: Any = ...) -> struct_uart_state: ...
    @overload
    def new(self, cdecl: Literal["struct vblk *"], init: Any = ...) -> struct_vblk: ...
    @overload
    def new(self, cdecl: Literal["struct vblk_counters *"], init: Any = ...) -> struct_vblk_counters: ...
    @overload
    def new(self, cdecl: Literal["struct vblk_setup *"], init: Any = ...) -> struct_vblk_setup: ...
    @overload
    def new(self, cdecl: Literal["struct vblk_state *"], init: Any = ...) -> struct_vblk_state: ...
    @overload
    def new(self, cdecl: Literal["struct vcon *"], init: Any = ...) -> struct_vcon: ...
    @overload
    def new(self, cdecl: Literal["struct vcon_control *"], init: Any = ...) -> struct_vcon_control: ...
    @overload
    def new(self, cdecl: Literal["struct vcon_control_port *"], init: Any = ...) -> struct_vcon_control_port: ...
    @overload
    def new(self, cdecl: Literal["struct vcon_counters *"], init: Any = ...) -> struct_vcon_counters: ...
    @overload
    def new(self, cdecl: Literal["struct vcon_news *"], init: Any = ...) -> struct_vcon_news: ...
    @overload
    def new(self, cdecl: Literal["struct vcon_port_counters *"], init: Any = ...) -> struct_vcon_port_counters: ...
    @overload
    def new(self, cdecl: Literal["struct vcon_setup *"], init: Any = ...) -> struct_vcon_setup: ...
    @overload
    def new(self, cdecl: Literal["struct vcon_state *"], init: Any = ...) -> struct_vcon_state: ...
    @overload
    def new(self, cdecl: Literal["struct vcpu *"], init: Any = ...) -> struct_vcpu: ...
    @overload
    def new(self, cdecl: Literal["struct vcpu_counters *"], init: Any = ...) -> struct_vcpu_counters: ...
    @overload
    def new(self, cdecl: Literal["struct vcpu_event *"], init: Any = ...) -> struct_vcpu_event: ...
    @overload
    def new(self, cdecl: Literal["struct vcpu_failure *"], init: Any = ...) -> struct_vcpu_failure: ...
    @overload
    def new(self, cdecl: Literal["struct vcpu_hypercall *"], init: Any = ...) -> struct_vcpu_hypercall: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_bitmap *"], init: Any = ...) -> struct_vfio_bitmap: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_attach_iommufd_pt *"], init: Any = ...) -> struct_vfio_device_attach_iommufd_pt: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_bind_iommufd *"], init: Any = ...) -> struct_vfio_device_bind_iommufd: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_detach_iommufd_pt *"], init: Any = ...) -> struct_vfio_device_detach_iommufd_pt: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_feature *"], init: Any = ...) -> struct_vfio_device_feature: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_feature_bus_master *"], init: Any = ...) -> struct_vfio_device_feature_bus_master: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_feature_dma_logging_control *"], init: Any = ...) -> struct_vfio_device_feature_dma_logging_control: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_feature_dma_logging_range *"], init: Any = ...) -> struct_vfio_device_feature_dma_logging_range: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_feature_dma_logging_report *"], init: Any = ...) -> struct_vfio_device_feature_dma_logging_report: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_feature_mig_data_size *"], init: Any = ...) -> struct_vfio_device_feature_mig_data_size: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_feature_mig_state *"], init: Any = ...) -> struct_vfio_device_feature_mig_state: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_feature_migration *"], init: Any = ...) -> struct_vfio_device_feature_migration: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_gfx_plane_info *"], init: Any = ...) -> struct_vfio_device_gfx_plane_info: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_info *"], init: Any = ...) -> struct_vfio_device_info: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_info_cap_pci_atomic_comp *"], init: Any = ...) -> struct_vfio_device_info_cap_pci_atomic_comp: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_device_ioeventfd *"], init: Any = ...) -> struct_vfio_device_ioeventfd: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_group_status *"], init: Any = ...) -> struct_vfio_group_status: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_info_cap_header *"], init: Any = ...) -> struct_vfio_info_cap_header: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_iommu_type1_dirty_bitmap *"], init: Any = ...) -> struct_vfio_iommu_type1_dirty_bitmap: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_iommu_type1_dirty_bitmap_get *"], init: Any = ...) -> struct_vfio_iommu_type1_dirty_bitmap_get: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_iommu_type1_dma_map *"], init: Any = ...) -> struct_vfio_iommu_type1_dma_map: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_iommu_type1_dma_unmap *"], init: Any = ...) -> struct_vfio_iommu_type1_dma_unmap: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_iommu_type1_info *"], init: Any = ...) -> struct_vfio_iommu_type1_info: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_iommu_type1_info_cap_iova_range *"], init: Any = ...) -> struct_vfio_iommu_type1_info_cap_iova_range: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_iommu_type1_info_cap_migration *"], init: Any = ...) -> struct_vfio_iommu_type1_info_cap_migration: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_iommu_type1_info_dma_avail *"], init: Any = ...) -> struct_vfio_iommu_type1_info_dma_avail: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_iova_range *"], init: Any = ...) -> struct_vfio_iova_range: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_irq_info *"], init: Any = ...) -> struct_vfio_irq_info: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_irq_set *"], init: Any = ...) -> struct_vfio_irq_set: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_pci_dependent_device *"], init: Any = ...) -> struct_vfio_pci_dependent_device: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_pci_hot_reset *"], init: Any = ...) -> struct_vfio_pci_hot_reset: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_pci_hot_reset_info *"], init: Any = ...) -> struct_vfio_pci_hot_reset_info: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_precopy_info *"], init: Any = ...) -> struct_vfio_precopy_info: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_region_gfx_edid *"], init: Any = ...) -> struct_vfio_region_gfx_edid: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_region_info *"], init: Any = ...) -> struct_vfio_region_info: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_region_info_cap_sparse_mmap *"], init: Any = ...) -> struct_vfio_region_info_cap_sparse_mmap: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_region_info_cap_type *"], init: Any = ...) -> struct_vfio_region_info_cap_type: ...
    @overload
    def new(self, cdecl: Literal["struct vfio_region_sparse_mmap_area *"], init: Any = ...) -> struct_vfio_region_sparse_mmap_area: ...
    @overload
    def new(self, cdecl: Literal["struct vfiopci *"], init: Any = ...) -> struct_vfiopci: ...
    @overload
    def new(self, cdecl: Literal["struct vfiopci_counts *"], init: Any = ...) -> struct_vfiopci_counts: ...
    @overload
    def new(self, cdecl: Literal["struct vhost_iotlb_msg *"], init: Any = ...) -> struct_vhost_iotlb_msg: ...
    @overload
    def new(self, cdecl: Literal["struct vhost_memory *"], init: Any = ...) -> struct_vhost_memory: ...
    @overload
    def new(self, cdecl: Literal["struct vhost_memory_region *"], init: Any = ...) -> struct_vhost_memory_region: ...
    @overload
    def new(self, cdecl: Literal["struct vhost_msg_v2 *"], init: Any = ...) -> struct_vhost_msg_v2: ...
    @overload
    def new(self, cdecl: Literal["struct vhost_vring_addr *"], init: Any = ...) -> struct_vhost_vring_addr: ...
    @overload
    def new(self, cdecl: Literal["struct vhost_vring_file *"], init: Any = ...) -> struct_vhost_vring_file: ...
    @overload
    def new(self, cdecl: Literal["struct vhost_vring_state *"], init: Any = ...) -> struct_vhost_vring_state: ...
    @overload
    def new(self, cdecl: Literal["struct vhost_vring_worker *"], init: Any = ...) -> struct_vhost_vring_worker: ...
    @overload
    def new(self, cdecl: Literal["struct vhost_worker_state *"], init: Any = ...) -> struct_vhost_worker_state: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_counters *"], init: Any = ...) -> struct_virtio_counters: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_dev *"], init: Any = ...) -> struct_virtio_dev: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_pci *"], init: Any = ...) -> struct_virtio_pci: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_pci_setup *"], init: Any = ...) -> struct_virtio_pci_setup: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_pci_state *"], init: Any = ...) -> struct_virtio_pci_state: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_py *"], init: Any = ...) -> struct_virtio_py: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_py_notes *"], init: Any = ...) -> struct_virtio_py_notes: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_py_setup *"], init: Any = ...) -> struct_virtio_py_setup: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_queue *"], init: Any = ...) -> struct_virtio_queue: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_rng *"], init: Any = ...) -> struct_virtio_rng: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_rng_counters *"], init: Any = ...) -> struct_virtio_rng_counters: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_rng_setup *"], init: Any = ...) -> struct_virtio_rng_setup: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_rng_state *"], init: Any = ...) -> struct_virtio_rng_state: ...
    @overload
    def new(self, cdecl: Literal["struct virtio_state *"], init: Any = ...) -> struct_virtio_state: ...
    @overload
    def new(self, cdecl: Literal["struct vmcore *"], init: Any = ...) -> struct_vmcore: ...
    @overload
    def new(self, cdecl: Literal["struct vnet *"], init: Any = ...) -> struct_vnet: ...
    @overload
    def new(self, cdecl: Literal["struct vnet_counters *"], init: Any = ...) -> struct_vnet_counters: ...
    @overload
    def new(self, cdecl: Literal["struct vnet_pair_counters *"], init: Any = ...) -> struct_vnet_pair_counters: ...
    @overload
    def new(self, cdecl: Literal["struct vnet_setup *"], init: Any = ...) -> struct_vnet_setup: ...
    @overload
    def new(self, cdecl: Literal["struct vnet_state *"], init: Any = ...) -> struct_vnet_state: ...
    @overload
    def new(self, cdecl: Literal["struct vq *"], init: Any = ...) -> struct_vq: ...
    @overload
    def new(self, cdecl: Literal["struct vq_chain *"], init: Any = ...) -> struct_vq_chain: ...
    @overload
    def new(self, cdecl: Literal["struct vq_config *"], init: Any = ...) -> struct_vq_config: ...
    @overload
    def new(self, cdecl: Literal["struct vq_counts *"], init: Any = ...) -> struct_vq_counts: ...
    @overload
    def new(self, cdecl: Literal["struct xblk_counters *"], init: Any = ...) -> struct_xblk_counters: ...
    @overload
    def new(self, cdecl: Literal["struct xblk_link *"], init: Any = ...) -> struct_xblk_link: ...
    @overload
    def new(self, cdecl: Literal["struct xblk_setup *"], init: Any = ...) -> struct_xblk_setup: ...
    @overload
    def new(self, cdecl: Literal["struct xencon_counters *"], init: Any = ...) -> struct_xencon_counters: ...
    @overload
    def new(self, cdecl: Literal["struct xenpirq *"], init: Any = ...) -> struct_xenpirq: ...
    @overload
    def new(self, cdecl: Literal["struct xenus *"], init: Any = ...) -> struct_xenus: ...
    @overload
    def new(self, cdecl: Literal["struct xenus_counters *"], init: Any = ...) -> struct_xenus_counters: ...
    @overload
    def new(self, cdecl: Literal["struct xenus_runstate *"], init: Any = ...) -> struct_xenus_runstate: ...
    @overload
    def new(self, cdecl: Literal["struct xenus_seen *"], init: Any = ...) -> struct_xenus_seen: ...
    @overload
    def new(self, cdecl: Literal["struct xnet_counters *"], init: Any = ...) -> struct_xnet_counters: ...
    @overload
    def new(self, cdecl: Literal["struct xnet_link *"], init: Any = ...) -> struct_xnet_link: ...
    @overload
    def new(self, cdecl: Literal["struct xnet_setup *"], init: Any = ...) -> struct_xnet_setup: ...
    @overload
    def new(self, cdecl: Literal["struct xsring_counters *"], init: Any = ...) -> struct_xsring_counters: ...
    @overload
    def new(self, cdecl: str, init: Any = ...) -> Any: ...

ffi: FFI
lib: Lib
