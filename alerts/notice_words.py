"""The words that notices are made of, in Chinese and English: severities, hazards, safety notes, causes."""

from alerts.words import Words

SEVERITIES = {
    1: Words("提示", "NOTICE"),
    2: Words("预警", "WARNING"),
    3: Words("报警", "ALARM"),
    4: Words("紧急", "CRITICAL"),
}
HAZARDS = {
    "gas": Words("可燃气体", "Combustible gas"),
    "toxic": Words("有毒气体或缺氧", "Toxic gas or lack of oxygen"),
    "smoke": Words("烟雾火警", "Smoke or fire"),
    "electrical": Words("电气火灾隐患", "Electrical fire hazard"),
    "ebike": Words("电动自行车棚", "E-bike shed"),
    "lift": Words("电梯", "Lift"),
    "fire_water": Words("消防供水", "Fire water supply"),
    "warehouse": Words("仓储环境", "Warehouse climate"),
    "flood": Words("道路积水", "Road flooding"),
    "canal": Words("河道水位", "Canal level"),
    "manhole": Words("井盖异常", "Manhole cover"),
    "structure": Words("建筑或杆体倾斜", "Leaning structure"),
    "noise": Words("噪声超标", "Noise"),
    "dust": Words("扬尘超标", "Dust"),
    "fume": Words("餐饮油烟", "Cooking fume"),
    "emission": Words("排放超标", "Emission above the permit"),
    "overload": Words("车辆超限", "Overloaded vehicle"),
    "traffic": Words("交通拥堵", "Congestion"),
    "power": Words("市电中断", "Mains power lost"),
    "device": Words("设备故障", "Device fault"),
    "platform": Words("平台故障", "Platform fault"),
}
SAFETY = {
    "gas": Words("勿单独进入，勿开关电器，禁明火", "Never go in alone; no switches, no open flame"),
    "toxic": Words(
        "勿单独进入，须佩戴正压式空气呼吸器，先通风检测",
        "Never go in alone; breathing apparatus on; ventilate and test first",
    ),
    "smoke": Words("先疏散人员，拨打119，勿乘电梯", "Evacuate first, call 119, no lifts"),
    "electrical": Words("勿触碰设备，先断电", "Do not touch; cut the power first"),
    "ebike": Words("先断电，大量水降温，勿吸入烟气", "Cut the power, cool with much water, do not breathe the smoke"),
    "lift": Words("安抚乘客，勿扒门，通知维保单位", "Calm the people inside; never force the doors; call maintenance"),
    "flood": Words("勿涉水，先设警示", "Do not wade; put up warnings first"),
    "canal": Words("勿靠近岸边，穿救生衣", "Keep off the bank; life jacket on"),
    "manhole": Words("先设围挡，勿靠近井口", "Fence it off first; keep clear of the shaft"),
    "power": Words("勿触碰带电设备，随时可能来电", "Do not touch live parts: power may return at any moment"),
    "structure": Words("撤离倾倒范围，先拉警戒", "Clear everybody from where it may fall; tape it off first"),
}
CAUSES = {
    "raised": Words("等级上升", "Severity raised"),
    "joined": Words("同一工单新增报警", "Another alert on this ticket"),
    "reopened": Words("再次报警", "Alert again"),
    "uncertain": Words("前一通知未确认送达", "The notice before may not have arrived"),
    "overdue": Words("已超时", "Overdue"),
    "recovered": Words("已恢复", "Recovered"),
    "returned": Words("已退回", "Returned"),
    "rework": Words("返工", "Rework"),
    "sent_back": Words("处置后再次报警", "Alert after it was handled"),
    "reported_again": Words("处置后又有上报", "Reported again after it was handled"),
    "storm": Words("多点同时报警，请统一处置", "Many sites at once: one incident stands for all"),
    "unassigned": Words("无人可派，请调度", "Nobody to send: dispatcher to decide"),
    "not_assigned": Words("超时未派遣", "Not dispatched in time"),
    "not_accepted": Words("超时未接单", "Not accepted in time"),
    "not_arrived": Words("超时未到场", "Nobody on scene in time"),
    "not_handled": Words("超时未处置", "Not handled in time"),
    "not_checked": Words("超时未核查", "Not checked in time"),
    "not_closed": Words("超时未结案", "Not closed in time"),
    "not_replied": Words("督办超时未回复", "Supervision not answered in time"),
    "supervised": Words("督办，请回复", "Supervised: an answer is wanted"),
    "reassigned": Words("改派", "Reassigned"),
    "passed_on": Words("已转交他人办理，您不用再去", "Passed on to others: you need not go"),
    "merged": Words("已并入", "Merged into this ticket"),
    "suspended": Words("已挂账，暂停办理", "Suspended: work stops"),
    "extended": Words("已批准延期", "Extended"),
    "extension_asked": Words("申请延期，请审批", "An extension is asked for"),
    "extension_refused": Words("不予延期", "The extension is refused"),
    "suspension_asked": Words("申请挂账，请审批", "A suspension is asked for"),
    "suspension_refused": Words("不予挂账", "The suspension is refused"),
    "replied": Words("督办已回复", "Supervision answered"),
    "reported": Words("人工上报，请受理", "Reported by hand: to be verified"),
    "resumed": Words("挂账到期，恢复办理", "Suspension over: work goes on"),
    "test": Words("您本人发起的测试，无需处置", "A test that you sent yourself: nothing to do"),
    "hold_over": Words("静默结束，仍在报警", "No longer held back, still alarming"),
}
SAID = {
    "plate": Words("车牌", "Plate"),
    "axles": Words("轴数", "Axles"),
    "speed_km_h": Words("车速 km/h", "Speed km/h"),
    "lane": Words("车道", "Lane"),
}
ONE_FOR_ALL = Words("各处报警并入这一张工单，统一处置", "one incident ticket stands for all sites")
REPEATED = Words("可能重复", "may be a repeat")
DRILL = Words("演练", "DRILL")
