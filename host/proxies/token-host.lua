-- HAProxy's action `lua.token-host URL`: asks token-host about the request, and either lets it pass, with the identity
-- headers in variables, or answers it.

local IDENTITY = {
    "x-auth-actor-id", "x-auth-handler", "x-auth-token-kind", "x-auth-expires", "x-auth-scopes", "x-auth-actor",
}
-- What of a refusal the client gets.
local ANSWERED = { "www-authenticate", "retry-after", "content-type" }
-- What of the request token-host gets. Add `cookie`, or another header, where tokens are taken from there.
local ASKED = { "authorization", "traceparent", "tracestate" }
local TIMEOUT_MS = 5000

-- HAProxy counts a header's values from 0, Lua from 1.
local function values(headers, name)
    local list, from = {}, headers[name]
    if from ~= nil then
        for place = 0, #from do
            list[#list + 1] = from[place]
        end
    end
    return list
end

local function finish(txn, status, headers, body)
    local reply = txn:reply()
    reply:set_status(status)
    for _, name in ipairs(ANSWERED) do
        for _, value in ipairs(values(headers, name)) do
            reply:add_header(name, value)
        end
    end
    reply:add_header("cache-control", "no-store")
    reply:set_body(body)
    txn:done(reply)
end

-- What token-host answers.
local function ask(txn, url)
    local request = txn.http:req_get_headers()
    local headers = {
        ["x-forwarded-method"] = { txn.f:method() },
        ["x-forwarded-host"] = { txn.f:req_fhdr("host") or "" },
        ["x-forwarded-uri"] = { txn.f:pathq() },
        ["x-forwarded-for"] = { txn.f:src() },
        ["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" },
    }
    for _, name in ipairs(ASKED) do
        -- All of several: which one counts is not decided here.
        local list = values(request, name)
        if #list > 0 then
            headers[name] = list
        end
    end
    return core.httpclient():get { url = url, headers = headers, timeout = TIMEOUT_MS }
end

core.register_action("token-host", { "http-req" }, function(txn, url)
    txn:set_var("txn.token_host", "")
    local asked, answer = pcall(ask, txn, url)
    local status = asked and answer and answer.status or 0
    -- Outside of what `pcall` guards: `txn:done` ends the action as an error does.
    if status == 200 then
        for _, name in ipairs(IDENTITY) do
            txn:set_var("txn." .. name:gsub("-", "_"), values(answer.headers, name)[1] or "")
        end
        txn:set_var("txn.token_host", "allowed")
    elseif status >= 400 and status < 500 then
        -- With this token-host says that it cannot tell now.
        if values(answer.headers, "x-error-status")[1] == "503" then
            finish(txn, 503, { ["retry-after"] = answer.headers["retry-after"] }, "")
        else
            finish(txn, status, answer.headers, answer.body)
        end
    else
        core.log(core.err, "token-host cannot be asked: " .. (asked and "status " .. status or tostring(answer)))
        finish(txn, 503, {}, "")
    end
end, 1)
