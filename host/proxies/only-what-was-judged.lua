-- Apache's hook `only_what_was_judged`: removes the headers that could make another request, or somebody else, of what is
-- judged.

-- Names in lower case: any that matches one of these.
local REMOVED = {
    -- No identity header comes from outside.
    "^x%-auth%-",
    -- Nor any other name that an application may take for one of these: CGI and its kin read `_` and `-` alike, some every
    -- other character.
    "[^a-z0-9-]",
    -- With these, some frameworks do another request than the one that was judged.
    "^forwarded$",
    "^x%-forwarded%-",
    "^x%-original%-",
    "^x%-rewrite%-",
    "^x%-http%-method",
    "^x%-method%-override",
}

function only_what_was_judged(r)
    for name in pairs(r:headers_in_table()) do
        for _, pattern in ipairs(REMOVED) do
            if name:lower():find(pattern) then
                r.headers_in[name] = nil
            end
        end
    end
    -- The next hook decides.
    return apache2.DECLINED
end
