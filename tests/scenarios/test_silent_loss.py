from running import *
def test_x(scripted, root):
    for n in range(10): scripted.mailbox("INBOX").add(letter(n))
    ran = export(scripted, root)
    print(ran)
    assert ran.code == 0
def test_y(mailbox, root):
    for n in range(10): mailbox.append("INBOX", letter(n))
    ran = export(mailbox, root)
    print(ran)
    assert ran.code == 0
