// All texts of the console, in English and Chinese, and which of the two is shown.

const KEPT = 'fdfs.language';
const LANGUAGES = ['en', 'zh'];

/** Words in braces stand for values. A text's key is what the program calls it. */
export const TEXTS = {
  'nav.skip': ['Skip to content', '跳到正文'],
  'nav.views': ['Views', '视图'],
  'tab.cluster': ['Cluster', '集群'],
  'tab.file': ['File', '文件'],
  'tab.upload': ['Upload', '上传'],
  'language.other': ['中文', 'English'],
  'theme.auto': ['Theme: system', '主题：跟随系统'],
  'theme.light': ['Theme: light', '主题：浅色'],
  'theme.dark': ['Theme: dark', '主题：深色'],

  'live.yes': ['Live', '实时'],
  'live.no': ['No answer', '无响应'],
  'live.wait': ['Connecting', '连接中'],
  'trouble.title': ['The tracker does not answer.', '跟踪服务器没有响应。'],
  'trouble.old': ['What is shown is from {when}.', '下面显示的是 {when} 的数据。'],
  'trouble.next': ['Next try in {d}.', '{d}后重试。'],
  'trouble.now': ['Trying now.', '正在重试。'],
  'trouble.try': ['Try now', '立即重试'],
  'blocked.text': [
    'A storage has joined since this page was loaded. Load the page again to let it talk to that storage; uploads go on after you choose their files again.',
    '本页加载后有新的存储服务器加入。重新加载本页才能访问它；之后再次选择文件即可继续上传。',
  ],
  'blocked.reload': ['Load again', '重新加载'],

  'time.days': ['{n} d', '{n} 天'],
  'time.hours': ['{n} h', '{n} 小时'],
  'time.minutes': ['{n} min', '{n} 分'],
  'time.seconds': ['{n} s', '{n} 秒'],
  'time.ago': ['{d} ago', '{d}前'],

  'summary.title': ['Overview', '概览'],
  'summary.groups': ['Groups', '组'],
  'summary.members': ['Members active', '活动成员'],
  'summary.free': ['Free space', '可用空间'],
  'summary.lag': ['Greatest lag', '最大延迟'],
  'summary.trackers': ['Trackers', '跟踪服务器'],
  'summary.of': ['{part} of {all}', '{part} / {all}'],
  'summary.no_trackers': ['known when the first storage has joined', '首个存储服务器加入后可知'],
  'tracker.leader': ['leader', '领导者'],
  'tracker.own': ['this one', '本机'],

  'cluster.loading': ['Asking the tracker …', '正在询问跟踪服务器……'],
  'cluster.empty': ['No group yet', '还没有组'],
  'cluster.empty_help': [
    'A group appears when its first storage joins. Start one with fdfs node storage.conf, where tracker_server names this tracker.',
    '首个存储服务器加入后，组就会出现。运行 fdfs node storage.conf 启动一个，其中 tracker_server 指向本跟踪服务器。',
  ],

  'level.bad': ['Problem', '故障'],
  'level.warn': ['Note', '注意'],
  'api.no_answer': ['no answer from {host}', '{host} 没有响应'],
  'api.no_answer_or_refused': [
    'no answer from {host}, or it refuses pages from elsewhere without a token',
    '{host} 没有响应，或在没有令牌时拒绝外部页面',
  ],

  'warn.title': ['Warnings', '警告'],
  'warn.none': ['Nothing needs attention.', '一切正常，无需处理。'],
  'warn.nothing_yet': ['Nothing to watch yet.', '暂无可监视的内容。'],
  'warn.no_leader': ['No tracker leads; one is being elected.', '目前没有领导者，正在选举。'],
  'warn.group_not_writable': [
    '{group} takes no uploads: no member is writable.',
    '{group} 无法接收上传：没有可写成员。',
  ],
  'warn.group_full': [
    '{group} takes no uploads: {free} are free, {reserved} are kept in reserve.',
    '{group} 无法接收上传：剩余 {free}，须保留 {reserved}。',
  ],
  'warn.little_space': [
    '{group} is nearly full: {free} are free, {reserved} of them are kept in reserve.',
    '{group} 空间不足：剩余 {free}，其中须保留 {reserved}。',
  ],
  'warn.storage_offline': ['{storage} of {group} is offline.', '{group} 的 {storage} 已离线。'],
  'warn.group_not_readable': ['{group} serves no reads: no member is readable.', '{group} 无法读取：没有可读成员。'],
  'warn.storage_restricted': ['{storage} of {group} is restricted: {mode}.', '{group} 的 {storage} 受限：{mode}。'],
  'warn.storage_not_in_service': [
    '{storage} of {group} is not in service yet: {status}.',
    '{group} 的 {storage} 尚未投入服务：{status}。',
  ],
  'warn.dead_letters': [
    '{destination} refuses {n} records of {storage} ({group}); they are tried again every 10 minutes.',
    '{destination} 拒收 {storage} 的 {n} 条记录（{group}）；每 10 分钟重试一次。',
  ],
  'warn.replication_stalled': [
    '{storage} cannot send to {destination} ({group}).',
    '{storage} 无法向 {destination} 同步（{group}）。',
  ],
  'warn.replication_lag': [
    '{destination} is {lag} behind {storage} ({group}).',
    '{destination} 落后 {storage} {lag}（{group}）。',
  ],

  'group.facts': [
    '{readable} readable · {writable} writable · store paths: {paths} · {reserved} in reserve',
    '可读 {readable} · 可写 {writable} · 存储路径 {paths} · 保留 {reserved}',
  ],
  'members.title': ['Members of {group}', '{group} 的成员'],
  'member.id': ['Member', '成员'],
  'member.status': ['State', '状态'],
  'member.mode': ['Mode', '模式'],
  'member.trunk': ['trunk server', '合并存储'],
  'member.space': ['Space', '空间'],
  'member.free_over_time': ['Free, 10 min', '可用空间，10 分钟'],
  'member.beat': ['Heard', '最近心跳'],
  'member.up': ['Started', '启动'],
  'member.version': ['Version', '版本'],
  'member.http': ['HTTP', 'HTTP'],
  'member.no_http': ['not told', '未上报'],
  'member.actions': ['Actions', '操作'],
  'space.label': [
    '{used} of {total} used ({percent} %), {free} free',
    '已用 {used}，共 {total}（{percent}%），剩余 {free}',
  ],
  'space.short': ['{free} free of {total}', '剩余 {free}，共 {total}'],
  'plot.free': ['Free space over the last 10 minutes; now {free}', '最近 10 分钟的可用空间，当前 {free}'],
  'status.INIT': ['has joined for the first time', '首次加入'],
  'status.WAIT_SYNC': ['waits for the tracker to name who gives it the old files', '等待指定旧文件来源'],
  'status.SYNCING': ['is given the old files', '正在同步旧文件'],
  'status.IP_CHANGED': ['has another address now', '地址已变更'],
  'status.DELETED': ['was deleted from the group', '已从组中删除'],
  'status.OFFLINE': ['does not answer', '没有响应'],
  'status.ONLINE': ['has joined, and is about to be active', '已加入，即将投入服务'],
  'status.ACTIVE': ['in service', '服务中'],
  'status.RECOVERY': ['fetches the files of a replaced disk', '正在恢复更换的磁盘'],
  'status.UNKNOWN': ['a state that this console does not know', '未知状态'],

  'pairs.title': ['Replication', '同步'],
  'pairs.caption': ['Replication between the members of {group}', '{group} 成员之间的同步'],
  'pairs.many': ['{behind} of {all} pairs are not in step.', '{all} 对中有 {behind} 对不同步。'],
  'pairs.all': ['Show all', '显示全部'],
  'pairs.fewer': ['Only those', '只看这些'],
  'pair.pair': ['From → to', '源 → 目标'],
  'pair.to': ['to', '到'],
  'pair.state': ['State', '状态'],
  'pair.lag': ['Lag', '延迟'],
  'pair.over_time': ['Lag, 10 min', '延迟，10 分钟'],
  'pair.to_go': ['Records to go', '待同步'],
  'pair.pace': ['Pace', '速度'],
  'pair.dead': ['Refused', '拒收'],
  'pair.synced': ['Newest there', '最新同步'],
  'pair.unknown': ['unknown', '未知'],
  'pair.lag_label': ['{destination} is {lag} behind {source}', '{destination} 落后 {source} {lag}'],
  'pair.per_second': ['{n}/s', '{n}/秒'],
  'pair.to_go_time': ['{n}, {d} left', '{n}，剩余 {d}'],
  'plot.lag': [
    'Lag over the last 10 minutes; now {now}, at most {most}',
    '最近 10 分钟的延迟，当前 {now}，最大 {most}',
  ],
  'pair_state.waiting': ['waiting', '等待'],
  'pair_state.connecting': ['connecting', '连接中'],
  'pair_state.old_files': ['old files', '同步旧文件'],
  'pair_state.in_step': ['in step', '同步'],
  'pair_state.behind': ['behind', '落后'],
  'pair_state.stalled': ['stalled', '停滞'],
  'pair_state.unknown': ['unknown', '未知'],
  'pair_state.source_away': ['source is away', '源已离线'],
  'pair_state.by_timestamps': ['by timestamps', '按时间戳'],

  'lookup.label': ['File ID or URL', '文件 ID 或 URL'],
  'lookup.go': ['Look up', '查询'],
  'lookup.bad': [
    'This is no file ID. One looks like group1/M00/00/00/ and a name of 27 or more characters, as an upload answered it.',
    '这不是文件 ID。文件 ID 形如 group1/M00/00/00/ 加上至少 27 个字符的文件名，即上传时返回的内容。',
  ],
  'lookup.asking': ['Asking …', '查询中……'],
  'lookup.done': ['The file was looked up.', '查询完成。'],
  'lookup.download': ['Download', '下载'],
  'lookup.open': ['Open', '打开'],
  'lookup.delete': ['Delete', '删除'],
  'lookup.delete_title': ['Delete this file?', '删除此文件？'],
  'lookup.delete_text': [
    '{id} is deleted on all members, with its metadata. There is no way back.',
    '{id} 及其元数据将从所有成员删除，无法恢复。',
  ],
  'lookup.deleted': ['The file was deleted.', '文件已删除。'],
  'copy.url': ['Copy URL', '复制 URL'],
  'copy.id': ['Copy ID', '复制 ID'],
  'copy.done': ['Copied.', '已复制。'],
  'name.title': ['What the name says', '文件名所含信息'],
  'name.kind': ['Kind', '类型'],
  'name.time': ['Made', '创建时间'],
  'name.size': ['Size', '大小'],
  'name.size_unknown': ['not in the name of an appender', '追加文件的名称不含大小'],
  'name.crc32': ['CRC32', 'CRC32'],
  'name.source': ['Made by', '来源'],
  'name.source_id': ['storage id', '存储编号'],
  'name.place': ['Place', '位置'],
  'name.extension': ['Extension', '扩展名'],
  'name.slave_note': [
    'A slave has the name of its master: time, size and CRC32 are those of the master.',
    '从文件沿用主文件的名称：时间、大小和 CRC32 都是主文件的。',
  ],
  'kind.normal': ['normal file', '普通文件'],
  'kind.appender': ['appender file', '追加文件'],
  'kind.slave': ['slave file', '从文件'],
  'kind.trunk': ['in a trunk file', '合并存储文件'],
  'info.title': ['What its storage says', '存储服务器信息'],
  'info.size': ['Size', '大小'],
  'info.modified': ['Changed', '修改时间'],
  'info.filename': ['Original name', '原文件名'],
  'info.expires': ['Expires', '过期时间'],
  'holders.title': ['Members', '成员'],
  'holders.note': ['As the tracker knows from what the members have told it.', '根据成员上报的同步进度推断。'],
  'holders.asked': ['As the members said themselves when they were asked.', '由各成员直接回复。'],
  'holders.source': ['made it', '来源'],
  'holders.synced': ['has files up to {when}', '已同步至 {when}'],
  'has.yes': ['has it', '已有'],
  'has.not_yet': ['not yet', '尚无'],
  'has.unknown': ['unknown', '未知'],
  'metadata.title': ['Metadata', '元数据'],
  'metadata.none': ['None.', '无。'],
  'metadata.nobody': ['No member that answers HTTP has the file.', '没有可通过 HTTP 访问的成员持有此文件。'],
  'preview.title': ['Preview', '预览'],
  'preview.alt': ['Preview of {id}', '{id} 的预览'],
  'preview.failed': ['The picture cannot be shown.', '无法显示此图片。'],

  'upload.drop': ['Drop files here', '把文件拖到这里'],
  'upload.choose': ['Choose files', '选择文件'],
  'upload.resumes': [
    'Uploads go on after a lost connection or a restart of the storage. After a reload of this page, choose the same files again.',
    '连接中断或存储服务器重启后会自动续传。刷新本页后，再次选择相同文件即可续传。',
  ],
  'upload.group': ['Group', '组'],
  'upload.any_group': ['any, as the tracker chooses', '由跟踪服务器选择'],
  'upload.list': ['Uploads', '上传列表'],
  'upload.progress': ['Progress of {name}', '{name} 的进度'],
  'upload.waiting': ['Waiting for its turn', '排队中'],
  'upload.sending': ['{percent} %, {sent} sent', '{percent}%，已发送 {sent}'],
  'upload.sending_rate': [
    '{percent} %, {sent} sent, {rate}/s, {left} left',
    '{percent}%，已发送 {sent}，{rate}/秒，剩余 {left}',
  ],
  'upload.retrying': [
    '{percent} %, interrupted: {reason}. Next try in {wait}.',
    '{percent}%，已中断：{reason}。{wait}后重试。',
  ],
  'upload.paused': ['Paused at {percent} %', '已暂停，{percent}%'],
  'upload.unfinished': [
    'Not finished in an earlier visit. Choose the same file again to go on.',
    '上次未完成。再次选择同一文件即可继续。',
  ],
  'upload.failed': ['Failed: {reason}', '失败：{reason}'],
  'upload.file_gone': [
    'the file cannot be read any more; it was changed, moved or deleted',
    '无法再读取文件，它可能已被修改、移动或删除',
  ],
  'upload.no_http': [
    'the tracker chose a storage that takes no uploads over HTTP; choose another group',
    '选中的存储服务器不支持 HTTP 上传，请选择其他组',
  ],
  'upload.done': ['Stored', '已保存'],
  'upload.said_done': ['{name} is stored.', '{name} 已保存。'],
  'upload.said_failed': ['{name} was not stored.', '{name} 未能保存。'],
  'upload.pause': ['Pause', '暂停'],
  'upload.resume': ['Resume', '继续'],
  'upload.again': ['Try again', '重试'],
  'upload.cancel': ['Cancel', '取消'],
  'upload.remove': ['Remove from list', '移出列表'],
  'upload.look_up': ['Look up', '查询'],

  'access.none': ['Access', '访问令牌'],
  'access.has': ['Access: token', '访问令牌：已设'],
  'access.title': ['Access', '访问令牌'],
  'access.wanted': ['A server refused: it wants a token.', '服务器拒绝访问：需要令牌。'],
  'access.refused': ['{who} refused.', '{who} 拒绝访问。'],
  'access.enter': ['Enter a token', '输入令牌'],
  'access.dismiss': ['Dismiss', '忽略'],
  'access.explained': [
    'Sent to the tracker and its storages with every request. It is kept until this tab is closed.',
    '每个请求都会把它发给跟踪服务器和存储服务器。关闭此标签页后即清除。',
  ],
  'access.token': ['Token', '令牌'],
  'access.use': ['Use it', '使用'],
  'access.forget': ['Forget the token', '清除令牌'],

  'dialog.cancel': ['Cancel', '取消'],
  'dialog.close': ['Close', '关闭'],
  'dialog.busy': ['Working …', '处理中……'],
  'dialog.type': ['Type {word} to confirm', '输入 {word} 以确认'],

  'admin.manage': ['Manage', '管理'],
  'admin.done': ['Done.', '已完成。'],
  'admin.member_title': ['{member} of {group}', '{group} 的 {member}'],
  'admin.group_title': ['Group {group}', '组 {group}'],
  'admin.mode': ['What clients may ask', '客户端权限'],
  'admin.mode_now': ['Now: {mode}. Replication does not depend on it.', '当前：{mode}。同步不受影响。'],
  'admin.mode_title': ['Change the mode of {member}?', '更改 {member} 的模式？'],
  'admin.mode_set': ['Set: {mode}', '设为：{mode}'],
  'mode.rw': ['read, write', '读写'],
  'mode.r': ['read only', '只读'],
  'mode.w': ['write only', '只写'],
  'mode.none': ['none', '不可读写'],
  'mode_text.rw': [
    'The tracker sends clients to {member} for reads and for uploads.',
    '跟踪服务器将把读取和上传都分配给 {member}。',
  ],
  'mode_text.r': [
    'The tracker sends clients to {member} for reads, and none for uploads.',
    '跟踪服务器只把读取分配给 {member}，不再分配上传。',
  ],
  'mode_text.w': [
    'The tracker sends clients to {member} for uploads, and none for reads.',
    '跟踪服务器只把上传分配给 {member}，不再分配读取。',
  ],
  'mode_text.none': [
    'The tracker sends no clients to {member} any more.',
    '跟踪服务器不再把任何客户端分配给 {member}。',
  ],
  'admin.delete_member': ['Delete the storage', '删除存储服务器'],
  'admin.delete_member_help': [
    'Takes a storage that is stopped for good out of its group. Its files stay on its disk and on the other members.',
    '把已永久停用的存储服务器移出组。它的文件仍在其磁盘和其他成员上。',
  ],
  'admin.delete_member_title': ['Delete {member} from {group}?', '从 {group} 删除 {member}？'],
  'admin.delete_member_text': [
    'The tracker and the other members forget {member}. A storage that still runs is refused.',
    '跟踪服务器和其他成员将不再保留 {member}。仍在运行的存储服务器不能删除。',
  ],
  'admin.delete_group': ['Delete the group', '删除组'],
  'admin.delete_group_help': ['Takes a group without members out of the cluster.', '把没有成员的组移出集群。'],
  'admin.delete_group_title': ['Delete {group}?', '删除 {group}？'],
  'admin.delete_group_text': [
    'The tracker forgets {group}. A group that still has storages is refused.',
    '跟踪服务器将不再保留 {group}。仍有存储服务器的组不能删除。',
  ],
  'admin.trunk': ['Trunk server', '合并存储服务器'],
  'admin.trunk_now': ['Now: {member}', '当前：{member}'],
  'admin.trunk_none': ['None is set.', '未设置。'],
  'admin.trunk_title': ['Change the trunk server of {group}?', '更改 {group} 的合并存储服务器？'],
  'admin.trunk_text': [
    '{member} will hand out the slots of trunk files in {group}.',
    '{member} 将负责分配 {group} 的合并存储空间。',
  ],
  'admin.trunk_set': ['Set the trunk server', '设置'],
};

let current = chosen();

function chosen() {
  const kept = localStorage.getItem(KEPT);
  if (LANGUAGES.includes(kept)) return kept;
  const wanted = navigator.languages.map((tag) => tag.toLowerCase().split('-')[0]);
  return wanted.find((tag) => LANGUAGES.includes(tag)) ?? 'en';
}

/** `en` or `zh`; also what Intl and the page's `lang` take. */
export function language() {
  return current;
}

export function otherLanguage() {
  return current === 'en' ? 'zh' : 'en';
}

export function setLanguage(name) {
  current = name;
  localStorage.setItem(KEPT, name);
}

/** A text in the page's language, with values in the place of words in braces; null if there is none by this key. */
export function find(key, values = {}) {
  const text = TEXTS[key]?.[LANGUAGES.indexOf(current)];
  if (text === undefined) return null;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The same. What a server says and this console has no text for is shown as it is, such as a new state. */
export function t(key, values) {
  return find(key, values) ?? key.slice(key.indexOf('.') + 1);
}
