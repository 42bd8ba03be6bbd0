"""Is the HTML report fit to be read?  Two reports on suite core, of a right and of a wrong client, are opened in headless
Chromium and looked at from within; then the same pages are broken on purpose, and each check must see it.

    html_check.py SMOEREF FOLDER [OP ...]     FOLDER: for the reports and screenshots; OP: these operations alone

The browser is spoken to over its DevTools pipe: descriptors 3 and 4, JSON, a zero byte after each message."""
import concurrent.futures, base64, json, os, pathlib, re, select, shutil, subprocess, sys, tempfile, time

MOST = 2 << 20                     # bytes of a page
WIDE, PHONE = (1200, 900), (360, 740)
SECTIONS = {"right": ["operations", "ratios", "decisions", "cases"],
            "wrong": ["operations", "diagnosis", "failures", "ratios", "decisions", "cases"]}
WRONG = re.compile(r"(gate|balance|expert|layer)\.")   # the wrong client's operations: each its first known mistake


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


# --- the two reports -------------------------------------------------------------------------------------------------

def answer(smoeref, prompt, folder, variant):
    name = prompt.name.replace(".prompt", "")
    result = run(smoeref, "eval", "--in", prompt, "--out", folder / name, *(["--variant", variant] if variant else []))
    if result.returncode:
        sys.exit("html_check: %s: %s" % (prompt, result.stderr))


def make_reports(smoeref, folder, operations):
    golden = folder / "golden"
    result = run(smoeref, "gen", *operations, "--suite", "core", "--precision", "f32", "--out", golden)
    if result.returncode:
        sys.exit("html_check: " + result.stderr)
    listed = json.loads(run(smoeref, "list", "--json").stdout)["operations"]
    mistake = {o["id"]: o["variants"][0]["name"] for o in listed if o["variants"] and WRONG.match(o["id"])}
    cases = {c["name"]: c["op"] for c in json.loads((golden / "manifest.json").read_text())["cases"]}
    for client in ("right", "wrong"):
        answers = folder / ("answers-" + client)
        answers.mkdir()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for done in [pool.submit(answer, smoeref, golden / (name + ".prompt.safetensors"), answers,
                                     mistake.get(op) if client == "wrong" else None) for name, op in cases.items()]:
                done.result()
        result = run(smoeref, "diff", golden, answers, "--precision", "f32", "--quiet", "--report", folder / (client + ".html"))
        if result.returncode != (client == "wrong"):
            sys.exit("html_check: the %s client: exit status %d\n%s%s" % (client, result.returncode, result.stdout, result.stderr))
        print("%s client: %s" % (client, result.stdout.strip().splitlines()[-1]), flush=True)
        shutil.rmtree(answers)
    shutil.rmtree(golden)


# --- the browser -----------------------------------------------------------------------------------------------------

class Browser:
    def __init__(self, program):
        self.profile = tempfile.mkdtemp()
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()

        def place():
            high = [os.dup(theirs_in), os.dup(theirs_out)]   # 3 or 4 may be either of them
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
        self.process = subprocess.Popen(
            [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
             "--disable-background-networking", "--remote-debugging-pipe", "--user-data-dir=" + self.profile],
            preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.number, self.buffer, self.events = 0, b"", []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(domain + ".enable")

    def message(self):
        deadline = time.monotonic() + 120
        while b"\0" not in self.buffer:
            if not select.select([self.into], [], [], max(0, deadline - time.monotonic()))[0]:
                sys.exit("html_check: the browser does not answer")
            more = os.read(self.into, 1 << 16)
            if not more:
                sys.exit("html_check: the browser has ended")
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def ask(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            request["sessionId"] = self.session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        while True:
            got = self.message()
            if got.get("id") == self.number:
                if "error" in got:
                    sys.exit("html_check: %s: %s" % (method, got["error"]))
                return got["result"]
            self.events.append(got)

    def value(self, expression):
        got = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in got:
            sys.exit("html_check: %s: %s" % (expression, got["exceptionDetails"]))
        return got["result"]["value"]

    def size(self, width, height, phone):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)

    def scheme(self, name):
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, path):
        """The events until the page is loaded, and half a second more."""
        self.events = []
        self.ask("Page.navigate", url=path.as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.message())
        time.sleep(0.5)
        self.value("1")
        return self.events

    def shoot(self, path):
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)


# --- the checks ------------------------------------------------------------------------------------------------------

def luminance(colour):
    parts = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
    r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


COLOURS = """(() => { const colour = (s, p) => { const e = document.querySelector(s); return e && getComputedStyle(e)[p]; };
  return {paper: colour("body", "backgroundColor"), ink: colour("body", "color"), dim: colour(".dim", "color"),
          good: colour(".good", "color"), bad: colour(".bad", "color")}; })()"""


def colours(browser, scheme):
    """What is wrong with the colours of a scheme; the contrast that WCAG asks of text is 4.5."""
    browser.scheme(scheme)
    c = browser.value(COLOURS)
    if (luminance(c["paper"]) < luminance(c["ink"])) != (scheme == "dark"):
        return "%s: paper %s, ink %s" % (scheme, c["paper"], c["ink"])
    for name in ("ink", "dim", "good", "bad"):
        if c[name] and contrast(c[name], c["paper"]) < 4.5:
            return "%s: %s %s on %s has a contrast of %.1f" % (scheme, name, c[name], c["paper"], contrast(c[name], c["paper"]))
    return None


def examine(browser, page, sections, pictures=None):
    """{check: what is wrong}, empty if nothing is."""
    wrong = {}
    browser.size(*WIDE, False)
    browser.scheme("light")
    events = browser.open(page)
    errors = [e for e in events if e.get("method") == "Runtime.exceptionThrown"
              or e.get("method") == "Runtime.consoleAPICalled" and e["params"]["type"] in ("error", "assert", "warning")
              or e.get("method") == "Log.entryAdded" and e["params"]["entry"]["level"] in ("error", "warning")
              and e["params"]["entry"]["source"] != "network"]
    if errors:
        wrong["console"] = json.dumps(errors[0]["params"])[:200]
    asked = [e["params"]["request"]["url"] for e in events if e.get("method") == "Network.requestWillBeSent"]
    if [url for url in asked if url != page.as_uri()] or len(asked) != 1:
        wrong["network"] = "requests: " + " ".join(url[:80] for url in asked)
    seen = browser.value("[...document.querySelectorAll('section')].filter(s => s.getBoundingClientRect().height > 40"
                         " && s.querySelector('h2')).map(s => s.id)")
    if seen != sections:
        wrong["sections"] = "%s, expected %s" % (seen, sections)
    if page.stat().st_size >= MOST:
        wrong["size"] = "%d bytes" % page.stat().st_size
    if pictures:
        browser.shoot(pictures / (page.stem + "-wide.png"))
    problem = colours(browser, "light") or colours(browser, "dark")
    if problem:
        wrong["colours"] = problem
    if pictures:
        browser.shoot(pictures / (page.stem + "-dark.png"))
    browser.scheme("light")
    browser.size(*PHONE, True)
    width = browser.value("document.documentElement.scrollWidth")
    if width > PHONE[0]:
        wrong["phone"] = "%d pixels wide on a screen of %d" % (width, PHONE[0])
    if pictures:
        browser.shoot(pictures / (page.stem + "-phone.png"))
    return wrong


BREAK = {  # what each check must see: (text of the page, what takes its place)
    "console": ("</body>", "<script>console.error('broken')</script></body>"),
    "network": ("</body>", "<img alt='' src='http://127.0.0.1:9/broken.png'></body>"),
    "sections": ('<section id="ratios">', '<section id="ratios" style="display:none">'),
    "size": ("</body>", "<!--" + "x" * MOST + "--></body>"),
    "colours": ("prefers-color-scheme:dark", "prefers-color-scheme:broken"),
    "phone": ("</header>", "<p style='width:500px'>broken</p></header>"),
}


def main():
    smoeref, folder, operations = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        sys.exit("html_check: no Chromium here (Debian package: chromium)")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make_reports(smoeref, folder, operations)
    browser, bad = Browser(program), 0
    for client, sections in SECTIONS.items():
        page = folder / (client + ".html")
        wrong = examine(browser, page, sections, folder)
        print("%s client: %.2f MB, %s" % (client, page.stat().st_size / 1e6, wrong or "all %d checks pass" % len(BREAK)))
        bad += len(wrong)
        for check, (text, instead) in BREAK.items():
            broken = folder / "broken.html"
            whole = page.read_text()
            if whole.count(text) < 1:
                sys.exit("html_check: the page has no '%s' to break" % text)
            broken.write_text(whole.replace(text, instead, 1))
            seen = examine(browser, broken, sections)
            if set(seen) != {check}:
                print("  broken on purpose (%s), and seen is %s" % (check, seen or "nothing"))
                bad += 1
            broken.unlink()
    browser.close()
    print("html-check: %d defects; screenshots in %s" % (bad, folder))
    sys.exit(bad > 0)


main()
