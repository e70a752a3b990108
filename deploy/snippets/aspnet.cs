// ASP.NET Core 8 (Microsoft.AspNetCore.Authentication.OpenIdConnect), Program.cs. This file is printed, not run, by the tests.
builder.Services.AddAuthentication(o =>
{
    o.DefaultScheme = CookieAuthenticationDefaults.AuthenticationScheme;
    o.DefaultChallengeScheme = OpenIdConnectDefaults.AuthenticationScheme;
})
.AddCookie()
.AddOpenIdConnect(o =>
{
    o.Authority = "@issuer@";
    o.ClientId = "@client_id@";
    o.ClientSecret = "@client_secret@";
    o.CallbackPath = "@redirect_path@";          // of @redirect_uri@
    o.SignedOutRedirectUri = "@signed_out@";
    o.ResponseType = "code";
    o.ResponseMode = "query";
    o.UsePkce = true;
    o.SaveTokens = true;
    o.MapInboundClaims = false;
    o.GetClaimsFromUserInfoEndpoint = true;
    o.Scope.Clear();
    foreach (var scope in "@scope@".Split(' ')) o.Scope.Add(scope);
});
