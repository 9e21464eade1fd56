//! The web's own globals.

use crate::host::{check, run_with, script, text, tight};
use pipehat_script::{Ask, AskError, LogLevel, Output, Recorded, RunErrorKind, Worker};

#[test]
fn encodes_and_decodes_text() {
    check(
        "return [...new TextEncoder().encode('aé€😀')].join()",
        "97,195,169,226,130,172,240,159,152,128",
    );
    check(
        "return new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 97, 0xff]))",
        "a\u{fffd}",
    );
    check("return new TextDecoder('latin1').decode(new Uint8Array([0xe9, 0x80]))", "é€");
    check(
        "const d = new TextDecoder(); return d.decode(new Uint8Array([0xe2, 0x82]), { stream: true }) + '|' + d.decode(new Uint8Array([0xac]))",
        "|€",
    );
    check(
        "try { new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([255])) } catch (e) { return e.name }",
        "TypeError",
    );
    check("return btoa('a\\xff') + atob('Yf8=')", "Yf8=a\u{ff}");
    check("try { btoa('€') } catch (e) { return e.name }", "InvalidCharacterError");
}

#[test]
fn parses_urls() {
    check(
        "const u = new URL('../c?x=1&y=a+b%21#h', 'https://u:p@example.org:8443/a/b'); u.searchParams.append('z', 'é&'); u.port = '9'; return [u.href, u.host, u.searchParams.get('y'), u.origin, u.search].join(' ')",
        "https://u:p@example.org:9/c?x=1&y=a+b%21&z=%C3%A9%26#h example.org:9 a b! https://example.org:9 ?x=1&y=a+b%21&z=%C3%A9%26",
    );
    check("return [URL.canParse('no'), URL.canParse('https://a')].join()", "false,true");
    check(
        "const p = new URLSearchParams({ b: '2', a: '1' }); p.sort(); p.set('c', '~'); return `${p} ${p.size}`",
        "a=1&b=2&c=%7E 3",
    );
    check(
        "return JSON.stringify([...new URLSearchParams('?a=1&a=%zz&b')])",
        r#"[["a","1"],["a","%zz"],["b",""]]"#,
    );
}

#[test]
fn digests_and_signs() {
    check(
        "const d = await crypto.subtle.digest('SHA-256', new TextEncoder().encode('abc')); return new Uint8Array(d).toHex()",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    check(
        "const d = await crypto.subtle.digest('SHA-1', new TextEncoder().encode('abc')); return new Uint8Array(d).toHex()",
        "a9993e364706816aba3e25717850c26c9cd0d89d",
    );
    // RFC 4231, test case 2.
    check(
        "const e = new TextEncoder(); const k = await crypto.subtle.importKey('raw', e.encode('Jefe'), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
         const s = await crypto.subtle.sign('HMAC', k, e.encode('what do ya want for nothing?'));
         const good = await crypto.subtle.verify('HMAC', k, s, e.encode('what do ya want for nothing?'));
         const bad = await crypto.subtle.verify('HMAC', k, s, e.encode('what'));
         return new Uint8Array(s).toHex() + good + bad",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843truefalse",
    );
    check(
        "return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())",
        "true",
    );
    check("return crypto.getRandomValues(new Uint16Array(4)).every((it) => it !== 0)", "true");
    check(
        "try { await crypto.subtle.digest('MD5', new Uint8Array(1)) } catch (e) { return e.name }",
        "NotSupportedError",
    );
}

#[test]
fn fetches_through_the_host() {
    check(
        "const r = await fetch('https://a.example/x', { method: 'post', body: JSON.stringify({ a: 1 }), headers: { 'X-A': 'b' } });
         return [r.ok, r.status, r.headers.get('Content-Type'), (await r.json()).a, r.bodyUsed].join()",
        "true,200,text/plain,1,true",
    );
    check(
        "const all = await Promise.all(['a', 'b', 'c'].map((body) => fetch('https://a.example', { method: 'PUT', body }).then((r) => r.text()))); return all.join()",
        "a,b,c",
    );
    check(
        "try { await fetch('https://refused.example') } catch (e) { return e.message + e.code }",
        "the host is not grantedrefused",
    );
    check(
        "try { await fetch('https://a.example', { signal: AbortSignal.abort() }) } catch (e) { return e.name }",
        "AbortError",
    );
    check("try { await fetch('nonsense') } catch (e) { return e.name }", "TypeError");
    check(
        "const h = new Headers([['a', '1'], ['A', '2']]); h.append('b', ' x '); return JSON.stringify([...h])",
        r#"[["a","1, 2"],["b","x"]]"#,
    );
    check(
        "return (await Response.json({ a: [1] }).clone().text()) + new Response('x', { status: 404 }).ok",
        r#"{"a":[1]}false"#,
    );
}

#[test]
fn a_refusal_that_is_not_caught_is_told() {
    let script = script("export const handler = () => fetch('https://refused.example');");
    let error =
        run_with(&mut Worker::new(&script, tight()), &text("")).0.result.expect_err("refused");
    assert_eq!(error.kind, RunErrorKind::Refused);
    assert_eq!(error.message, "the host is not granted");
}

#[test]
fn timers_wait_by_the_clock_of_the_host() {
    check(
        "const from = Date.now(); const order = []; setTimeout((x) => order.push(x), 20, 'b'); setTimeout(() => order.push('a'), 10); const gone = setTimeout(() => order.push('never'), 5); clearTimeout(gone);
         await new Promise((done) => setTimeout(done, 30)); return `${order} ${Date.now() - from} ${performance.now()}`",
        "a,b 30 30",
    );
    check(
        "let n = 0; await new Promise((done) => { const t = setInterval(() => { if (++n === 3) { clearInterval(t); done() } }, 100) }); return n",
        "3",
    );
    check(
        "const s = AbortSignal.timeout(50); await new Promise((done) => s.addEventListener('abort', done)); return s.reason.name",
        "TimeoutError",
    );
    check("const order = []; queueMicrotask(() => order.push(1)); await null; return order", "[1]");
}

#[test]
fn a_fetch_can_be_given_up() {
    check(
        "try { await fetch('https://hangs.example', { signal: AbortSignal.timeout(300) }) }
         catch (e) { return `${e.name} ${e.code} ${e instanceof DOMException} ${e.message} ${performance.now()}` }",
        "TimeoutError 23 true The operation was aborted due to timeout 300",
    );
    check(
        "const c = new AbortController(); setTimeout(() => c.abort(), 200);
         try { await fetch('https://hangs.example', { signal: c.signal }) }
         catch (e) { return `${e.name} ${e.code} ${e instanceof DOMException} ${performance.now()}` }",
        "AbortError 20 true 200",
    );
    check(
        "const c = new AbortController(); setTimeout(() => c.abort(new Error('mine')), 200);
         try { await fetch('https://hangs.example', { signal: AbortSignal.any([c.signal, AbortSignal.timeout(900)]) }) }
         catch (e) { return e.message }",
        "mine",
    );
    check(
        "const late = new Promise((done) => setTimeout(() => done('late'), 300));
         const first = await Promise.race([fetch('https://hangs.example').then(() => 'answered'), late]);
         return first + await (await fetch('https://a.example', { method: 'POST', body: ', and on' })).text()",
        "late, and on",
    );
    // What answers in time is not disturbed by its signal, and timers that are due before go first.
    check(
        "const order = []; setTimeout(() => order.push('timer'), 100); setTimeout(() => order.push('after'), 400);
         const signal = AbortSignal.timeout(5000);
         await Promise.all([300, 200].map(async (ms) => { await fetch(`https://late.example/${ms}`, { signal }); order.push(ms) }));
         await new Promise((done) => setTimeout(done, 200)); return order.join()",
        "timer,200,300,after",
    );
    // A repeated timer does not keep answers away.
    check(
        "let n = 0; const t = setInterval(() => n++, 0); await fetch('https://late.example/20'); clearInterval(t); return n > 5",
        "true",
    );
}

#[test]
fn what_was_given_up_is_recorded_so() {
    let source = "export async function handler() {
        fetch('https://hangs.example/b');
        try { await fetch('https://hangs.example/a', { signal: AbortSignal.timeout(300) }) } catch {}
        const c = new AbortController();
        fetch('https://hangs.example/c', { signal: c.signal }).catch(() => {});
        c.abort();
        await fetch('https://late.example/10');
        return 'on';
    }";
    let (run, host) = run_with(&mut Worker::new(&script(source), tight()), &text(""));
    assert_eq!(run.result, Ok(Output::Text("on".to_owned())));
    let asked = run.recorded.iter().filter_map(|one| match one {
        Recorded::Asked { ask: Ask::Fetch { url, .. }, answer } => {
            Some((url.as_str(), answer.as_ref().map(|answer| answer.status)))
        }
        _ => None,
    });
    // The third was given up before it was begun.
    assert_eq!(
        asked.collect::<Vec<_>>(),
        [
            ("https://hangs.example/b", Err(&AskError::GivenUp)),
            ("https://hangs.example/a", Err(&AskError::GivenUp)),
            ("https://late.example/10", Ok(200)),
        ]
    );
    assert_eq!(host.borrow().given_up, [2, 1]);
    let log: Vec<_> = host.borrow().log.iter().map(|line| line.text.clone()).collect();
    let [line] = log.as_slice() else { panic!("{log:?}") };
    assert!(line.starts_with("a request that a timer outlasted was given up"), "{line}");
}

#[test]
fn the_clock_is_the_hosts_and_the_zone_is_utc() {
    check("return new Date().toISOString()", "2023-11-14T22:13:20.000Z");
    check(
        "return new Date(2024, 0, 31, 12).toISOString() + new Date('2024-05-01T10:00').getHours()",
        "2024-01-31T12:00:00.000Z10",
    );
    check(
        "return String(new Date(0)) + new Date(0).getTimezoneOffset()",
        "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)0",
    );
    check(
        "return new Date('2024-02-30').constructor === Date && Date.now() === new Date().getTime() && new Date() instanceof Date",
        "true",
    );
    check(
        "class D extends Date { more() { return 1 } } return new D(5).getTime() + new D(5).more()",
        "6",
    );
}

#[test]
fn clones() {
    check(
        "const a: any = { d: new Date(1), m: new Map([[1, { x: new Uint8Array([1, 2]) }]]), s: new Set(['q']), e: new RangeError('r') }; a.self = a;
         const b: any = structuredClone(a); return [b.self === b, b.d.getTime(), b.m.get(1).x.join(), b.s.has('q'), b.e instanceof RangeError, b.m !== a.m].join()",
        "true,1,1,2,true,true,true",
    );
    check("try { structuredClone({ f() {} }) } catch (e) { return e.name }", "DataCloneError");
}

#[test]
fn logs_by_level() {
    let source = "export const handler = () => { console.log('a %s %d', 'b', 2, { c: [1, 'x'] }); console.error(new Map([[1, 2]])); console.debug('d') }";
    let (run, host) = run_with(&mut Worker::new(&script(source), tight()), &text(""));
    assert_eq!(run.result, Ok(Output::Nothing));
    let lines: Vec<_> = host.borrow().log.iter().map(|it| (it.level, it.text.clone())).collect();
    let line = |level, text: &str| (level, text.to_owned());
    assert_eq!(
        lines,
        [
            line(LogLevel::Info, "a b 2 { c: [1, \"x\"] }"),
            line(LogLevel::Error, "Map { 1 => 2 }"),
            line(LogLevel::Debug, "d"),
        ]
    );
}
